import { instanceKey, type InstanceKey } from '../liveness/instance-key.ts';
import { V4Refusal } from './v4-refusal.ts';

/** Lengths in characters (code points) of the decoded value, from the documented contract. */
const LENGTHS = { domain: 256, projectId: 64, serviceId: 64, instanceId: 64 } as const;

/** Control characters of both sets, and the two Unicode line breaks. */
// oxlint-disable-next-line no-control-regex -- finding them is the point
const FORBIDDEN = /[\u0000-\u001F\u007F-\u009F\u2028\u2029]/;

const INSTANCE_ID = /^[A-Za-z0-9_.-]*$/;

const NON_ASCII = /[^\0-\u007F]/;

/** The key of a heartbeat from its header and its path, or the first refusal. */
export function parseHeartbeat(
  header: string | string[] | undefined,
  parts: PathParts,
  rule: DomainRule,
): InstanceKey | V4Refusal {
  const domain = parseDomain(header, rule);
  return domain instanceof V4Refusal ? domain : parseInstanceKey(domain, parts);
}

/** The decoded parts of a heartbeat's path. */
export interface PathParts {
  readonly projectId: string;
  readonly serviceId: string;
  readonly instanceId: string;
}

/** The key of the instance that a heartbeat names, or 400001 with the first part that breaks its rule. */
export function parseInstanceKey(domain: string, parts: PathParts): InstanceKey | V4Refusal {
  return (
    broken('project_id', parts.projectId, LENGTHS.projectId) ??
    broken('serviceId', parts.serviceId, LENGTHS.serviceId) ??
    broken('instanceId', parts.instanceId, LENGTHS.instanceId) ??
    (INSTANCE_ID.test(parts.instanceId) ? undefined : ILLEGAL_INSTANCE_ID) ??
    instanceKey(domain, parts.projectId, parts.serviceId, parts.instanceId)
  );
}

const ILLEGAL_INSTANCE_ID = new V4Refusal(
  'invalidParameters',
  'instanceId: only the characters A-Z a-z 0-9 _ . - are allowed',
);

/** How a missing `x-domain-name` is treated. */
export interface DomainRule {
  readonly isRequired: boolean;
}

/** What an absent domain means where it is not required; service-center does the same. */
const DEFAULT_DOMAIN = 'default';

/**
 * The tenant's name from the `x-domain-name` header, or 400001 if it is required and missing or empty, too long,
 * or holds a control character.
 */
export function parseDomain(header: string | string[] | undefined, rule: DomainRule): string | V4Refusal {
  const value = Array.isArray(header) ? header.join(', ') : header;
  if (value === undefined || value === '') {
    if (!rule.isRequired) return DEFAULT_DOMAIN;
    return new V4Refusal('invalidParameters', 'x-domain-name: the header is required');
  }
  const domain = NON_ASCII.test(value) ? decodeUtf8(value) : value;
  return broken('x-domain-name', domain, LENGTHS.domain) ?? domain;
}

/** The refusal of a text that breaks the rules for all four parts. */
function broken(name: string, value: string, lengthMax: number): V4Refusal | undefined {
  if (value === '') return new V4Refusal('invalidParameters', `${name}: must not be empty`);
  // A string has at least as many code units as code points.
  if (value.length > lengthMax) {
    const length = Array.from(value).length;
    if (length > lengthMax) {
      return new V4Refusal('invalidParameters', `${name}: has ${length} characters, at most ${lengthMax} are allowed`);
    }
  }
  if (!FORBIDDEN.test(value)) return undefined;
  return new V4Refusal('invalidParameters', `${name}: control characters and line breaks are not allowed`);
}

/** Node reads header bytes as Latin-1; senders write UTF-8. Bytes that are no UTF-8 stay as they were read. */
function decodeUtf8(latin1: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(latin1, 'latin1'));
  } catch {
    return latin1;
  }
}
