/**
 * Who sent a heartbeat, as far as it can be told: the Pod that a token proved, or the address of the connection.
 *
 * A string, so that a column of senders is a column of pointers and two can be compared at the speed of one. Each is
 * made once for a connection, not once for a heartbeat.
 */
export type Sender = string & { readonly __brand: 'Sender' };

/** Nobody can tell: a connection that ended before it was looked at. */
export const UNKNOWN_SENDER = '' as Sender;

const POD = 'pod/';

/** An IPv4 address as a socket for both families shows it (RFC 4291, section 2.5.5.2). */
const MAPPED_IPV4 = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i;

/** The sender at an IP address, in the form in which Pods list theirs: no zone, and IPv4 not mapped into IPv6. */
export function addressSender(address: string): Sender {
  const [bare = ''] = address.split('%', 1);
  return (MAPPED_IPV4.exec(bare)?.[1] ?? bare).toLowerCase() as Sender;
}

/** The Pod with this uid, proved by a token that is bound to it. */
export function podSender(uid: string): Sender {
  return (POD + uid) as Sender;
}

/** The uid of the Pod that proved to be the sender, or undefined if no token was presented. */
export function provedPodUid(sender: Sender): string | undefined {
  return sender.startsWith(POD) ? sender.slice(POD.length) : undefined;
}

/** The address that the sender is known by, or undefined if it is known otherwise or not at all. */
export function senderAddress(sender: Sender): string | undefined {
  return sender === UNKNOWN_SENDER || sender.startsWith(POD) ? undefined : sender;
}
