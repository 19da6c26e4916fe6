import { BlockList, isIP } from 'node:net';

/** The addresses from which `X-Forwarded-For` is believed. */
export class TrustedProxies {
  readonly #list: BlockList;

  /** Use {@link parseTrustedProxies}. */
  constructor(list: BlockList) {
    this.#list = list;
  }

  /** @param address an IP address without a zone; anything else is no proxy. */
  has(address: string): boolean {
    const version = isIP(address);
    return version !== 0 && this.#list.check(address, version === 6 ? 'ipv6' : 'ipv4');
  }
}

export type ParsedProxies =
  | { readonly kind: 'proxies'; readonly proxies: TrustedProxies }
  /** `mistake` names the part that is no CIDR, and why. */
  | { readonly kind: 'mistake'; readonly mistake: string };

/** How many bits an address has, and so how long a prefix may be. */
const BITS = { ipv4: 32, ipv6: 128 } as const;

/** The dotted form, and the one in which Node writes it itself. */
const MAPPED = /^::ffff:/i;

/** CIDRs, separated by commas: `10.0.0.0/8, fd00::/8`. An address alone is that one address. Empty: no proxies. */
export function parseTrustedProxies(text: string): ParsedProxies {
  const list = new BlockList();
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  for (const part of parts) {
    const mistake = add(list, part);
    if (mistake !== undefined) return { kind: 'mistake', mistake: `${JSON.stringify(part)}: ${mistake}` };
  }
  return { kind: 'proxies', proxies: new TrustedProxies(list) };
}

function add(list: BlockList, cidr: string): string | undefined {
  const [address = '', prefixText, ...rest] = cidr.split('/');
  const version = isIP(address);
  if (version === 0 || address.includes('%') || rest.length > 0) return 'not an IP address or CIDR';
  if (MAPPED.test(address)) return 'write an IPv4 address as such';
  const family = version === 6 ? 'ipv6' : 'ipv4';
  const prefix = prefixText === undefined ? BITS[family] : /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : -1;
  if (prefix < 0 || prefix > BITS[family]) return `the prefix must be 0 to ${BITS[family]}`;
  list.addSubnet(address, prefix, family);
  return undefined;
}
