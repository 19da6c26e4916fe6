import { createHash } from 'node:crypto';
import { identityOf, type InstanceKey } from '../liveness/instance-key.ts';

/** A name that is also to be a label value has at most this many characters (RFC 1123 label). */
const NAME_MAX = 63;
/** 64 bits: among a million instances two share a hash with a chance of one in 36 million. */
const HASH_LENGTH = 16;
const SLUG_MAX = NAME_MAX - HASH_LENGTH - 1;

/**
 * The name of an instance's object: what a person can recognise of its instanceId, and a hash of the whole identity.
 *
 * Every replica computes the same name. It is legal as an object name and as a label value.
 */
export function resourceName(key: InstanceKey): string {
  const hash = createHash('sha256').update(key).digest('hex').slice(0, HASH_LENGTH);
  const slug = identityOf(key)
    .instanceId.toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, SLUG_MAX)
    .replaceAll(/^-|-$/g, '');
  return `${slug === '' ? 'instance' : slug}-${hash}`;
}
