import { instanceKey, type InstanceKey } from '../liveness/instance-key.ts';
import { V4Error } from './v4-error.ts';

/** Lengths in characters (code points) of the decoded value, from the documented contract. */
export const LENGTHS = { domain: 256, projectId: 64, serviceId: 64, instanceId: 64 } as const;

/** Control characters of both sets, and the two Unicode line breaks. */
// oxlint-disable-next-line no-control-regex -- finding them is the point
const FORBIDDEN = /[\u0000-\u001F\u007F-\u009F\u2028\u2029]/;

const INSTANCE_ID = /^[A-Za-z0-9_.-]*$/;

const NON_ASCII = /[^\0-\u007F]/;

/** The decoded parts of a heartbeat's path. */
export interface PathParts {
  readonly projectId: string;
  readonly serviceId: string;
  readonly instanceId: string;
}

/**
 * The key of the instance that a heartbeat names.
 *
 * @throws V4Error 400001 that names the first part that breaks its rule.
 */
export function parseInstanceKey(domain: string, parts: PathParts): InstanceKey {
  checkText('project_id', parts.projectId, LENGTHS.projectId);
  checkText('serviceId', parts.serviceId, LENGTHS.serviceId);
  checkText('instanceId', parts.instanceId, LENGTHS.instanceId);
  if (!INSTANCE_ID.test(parts.instanceId)) {
    throw new V4Error('invalidParameters', 'instanceId: only the characters A-Z a-z 0-9 _ . - are allowed');
  }
  return instanceKey(domain, parts.projectId, parts.serviceId, parts.instanceId);
}

/** How a missing `x-domain-name` is treated. */
export interface DomainRule {
  readonly isRequired: boolean;
}

/** What an absent domain means where it is not required; service-center does the same. */
const DEFAULT_DOMAIN = 'default';

/**
 * The tenant's name from the `x-domain-name` header.
 *
 * @throws V4Error 400001 if it is required and missing or empty, too long, or holds a control character.
 */
export function parseDomain(header: string | string[] | undefined, rule: DomainRule): string {
  const value = Array.isArray(header) ? header.join(', ') : header;
  if (value === undefined || value === '') {
    if (rule.isRequired) throw new V4Error('invalidParameters', 'x-domain-name: the header is required');
    return DEFAULT_DOMAIN;
  }
  const domain = NON_ASCII.test(value) ? decodeUtf8(value) : value;
  checkText('x-domain-name', domain, LENGTHS.domain);
  return domain;
}

function checkText(name: string, value: string, lengthMax: number): void {
  if (value === '') throw new V4Error('invalidParameters', `${name}: must not be empty`);
  // A string has at least as many code units as code points.
  if (value.length > lengthMax) {
    const length = Array.from(value).length;
    if (length > lengthMax) {
      throw new V4Error('invalidParameters', `${name}: has ${length} characters, at most ${lengthMax} are allowed`);
    }
  }
  if (FORBIDDEN.test(value)) {
    throw new V4Error('invalidParameters', `${name}: control characters and line breaks are not allowed`);
  }
}

/** Node reads header bytes as Latin-1; senders write UTF-8. Bytes that are no UTF-8 stay as they were read. */
function decodeUtf8(latin1: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(latin1, 'latin1'));
  } catch {
    return latin1;
  }
}
