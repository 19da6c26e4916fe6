import type { FastifyReply } from 'fastify';

/** An error of the v4 API: HTTP status, business code and text, one row each. */
interface ErrorRow {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/**
 * The codes of the rows that service-center has too are its own, the words as well; the others follow its scheme, HTTP
 * status and a number.
 */
export const V4_ERRORS = {
  invalidParameters: { status: 400, code: '400001', message: 'Invalid parameter(s)' },
  unknownInstance: { status: 400, code: '400017', message: 'Instance does not exist' },
  unauthorized: { status: 401, code: '401201', message: 'Request unauthorized' },
  noAuthorization: { status: 401, code: '401204', message: 'No authorization header' },
  foreignSender: { status: 403, code: '403205', message: 'No permission(s)' },
  notFound: { status: 404, code: '404001', message: 'No such path' },
  methodNotAllowed: { status: 405, code: '405001', message: 'Method not allowed' },
  requestTimeout: { status: 408, code: '408001', message: 'The request took too long' },
  bodyTooLarge: { status: 413, code: '413001', message: 'The request body is too large' },
  headTooLarge: { status: 431, code: '431001', message: 'The request line and headers are too large' },
  internal: { status: 500, code: '500003', message: 'Internal server error' },
  unavailable: { status: 500, code: '500011', message: 'Registry service is unavailable' },
  tooManyNew: { status: 503, code: '503001', message: 'Too many new instances' },
  unproved: { status: 503, code: '503002', message: 'The sender cannot be checked now' },
} as const satisfies Record<string, ErrorRow>;

export type V4ErrorName = keyof typeof V4_ERRORS;

export const JSON_TYPE = 'application/json; charset=UTF-8';

/**
 * Why a request is refused, and with which reply.
 *
 * A value and no Error: bad input is no mistake of ours, and a stack trace for each would make a flood of it dear.
 */
export class V4Refusal {
  /** Which row it is; the `result` of a counted heartbeat. */
  readonly resultName: V4ErrorName;
  readonly row: ErrorRow;
  readonly detail: string;
  readonly headers: Readonly<Record<string, string>>;

  /** @param detail which part of the request broke which rule; holds no more than a bounded piece of the input. */
  constructor(resultName: V4ErrorName, detail: string, headers: Readonly<Record<string, string>> = {}) {
    this.resultName = resultName;
    this.row = V4_ERRORS[resultName];
    this.detail = detail;
    this.headers = headers;
  }

  /** Both spellings: `errCode`, `errMsg` as documented, `errorCode`, `errorMessage` as the SDKs parse them. */
  get body(): string {
    const { code, message } = this.row;
    return JSON.stringify({
      errCode: code,
      errMsg: message,
      detail: this.detail,
      errorCode: code,
      errorMessage: message,
    });
  }
}

export function sendRefusal(reply: FastifyReply, refused: V4Refusal): FastifyReply {
  return reply.code(refused.row.status).headers(refused.headers).header('content-type', JSON_TYPE).send(refused.body);
}
