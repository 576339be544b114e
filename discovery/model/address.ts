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

/** Whether an address lies in a range of its own family. */
export function rangeContains(range: { readonly address: string; readonly bits: number }, address: string): boolean {
  const start = numberOf(range.address);
  const own = numberOf(address);
  if (start === undefined || own === undefined || start.width !== own.width) return false;
  const shift = BigInt(own.width - range.bits);
  return start.value >> shift === own.value >> shift;
}

interface Numeric {
  readonly value: bigint;
  /** 32 or 128 bits. */
  readonly width: number;
}

/** An address as a number; undefined where it is none. */
function numberOf(address: string): Numeric | undefined {
  if (isIPv4(address)) return { value: joined(address.split('.').map(Number), 8n), width: 32 };
  const plain = address.split('%')[0] ?? '';
  return isIPv6(plain) ? { value: joined(groupsOf(plain), 16n), width: 128 } : undefined;
}

function joined(parts: readonly number[], bits: bigint): bigint {
  return parts.reduce((value, part) => (value << bits) | BigInt(part), 0n);
}

/** The eight groups of an IPv6 address; `::` stands for as many zeros as are missing, the end may be in IPv4's form. */
function groupsOf(address: string): readonly number[] {
  const hex = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_whole, ...bytes: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(0, 4).map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = '', tail] = hex.split('::');
  const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => parseInt(group, 16)));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  return [...before, ...Array.from({ length: zeros }, () => 0), ...after];
}
