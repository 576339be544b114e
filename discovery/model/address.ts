// IP addresses and CIDR ranges as texts of configuration.
import { isIP, isIPv4, isIPv6 } from 'node:net';

/** An address or range of a ServiceEntry in the form that is kept: a range of one address is the address. */
export function parseAddress(text: string): string | undefined {
  if (isIP(text) !== 0) return text;
  const range = parseRange(text);
  if (range === undefined) return undefined;
  return range.bits === (isIPv4(range.address) ? 32 : 128) ? range.address : `${range.address}/${range.bits}`;
}

/** The two parts of `address/bits`, or undefined where it is no CIDR range. */
export function parseRange(text: string): { readonly address: string; readonly bits: number } | undefined {
  const slash = text.indexOf('/');
  const address = text.slice(0, slash);
  const length = text.slice(slash + 1);
  if (slash < 0 || isIP(address) === 0 || !/^\d{1,3}$/.test(length)) return undefined;
  const bits = Number(length);
  return bits <= (isIPv4(address) ? 32 : 128) ? { address, bits } : undefined;
}

/** Whether a text is an IP address. */
export function isAddress(text: string): boolean {
  return isIP(text) !== 0;
}

/** The families of a set of addresses; names count as neither. */
export function familiesOf(addresses: readonly string[]): { readonly v4: boolean; readonly v6: boolean } {
  return { v4: addresses.some((address) => isIPv4(address)), v6: addresses.some((address) => isIPv6(address)) };
}
