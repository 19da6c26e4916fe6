/** The parts of a heartbeat's path as they stand in the URL, and what goes with it. Defaults name a legal instance. */
export interface HeartbeatOptions {
  readonly projectId?: string;
  readonly serviceId?: string;
  readonly instanceId?: string;
}

/** The path of a heartbeat. The parts are put in as they are, so a test decides how they are encoded. */
export function heartbeatPath({
  projectId = 'default',
  serviceId = 'shop',
  instanceId = 'cart-1',
}: HeartbeatOptions = {}): string {
  return `/v4/${projectId}/registry/microservices/${serviceId}/instances/${instanceId}/heartbeat`;
}

/** The path of a report, and behind it the query as it is. */
export function statusPath(options: HeartbeatOptions = {}, query = ''): string {
  return `${heartbeatPath(options).replace(/heartbeat$/, 'status')}${query}`;
}

export interface WireRequestOptions {
  readonly method?: string;
  readonly path?: string;
  readonly version?: string;
  /** Instead of `Host` and `x-domain-name`. */
  readonly headers?: readonly string[];
  /** Beside `Host` and `x-domain-name`. */
  readonly moreHeaders?: readonly string[];
  readonly body?: string;
}

/** A request as bytes. A heartbeat, if nothing else is said. */
export function wireRequest({
  method = 'PUT',
  path = heartbeatPath(),
  version = 'HTTP/1.1',
  headers = ['Host: localhost', 'x-domain-name: acme'],
  moreHeaders = [],
  body = '',
}: WireRequestOptions = {}): string {
  return [`${method} ${path} ${version}`, ...headers, ...moreHeaders, '', body].join('\r\n');
}

/** The body of a refusal, byte for byte. */
export function errorBody(code: string, message: string, detail: string): string {
  return (
    `{"errCode":"${code}","errMsg":"${message}","detail":${JSON.stringify(detail)},` +
    `"errorCode":"${code}","errorMessage":"${message}"}`
  );
}

/** The body of a 400001. */
export function invalidParameters(detail: string): string {
  return errorBody('400001', 'Invalid parameter(s)', detail);
}
