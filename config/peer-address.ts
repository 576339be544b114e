// Addresses of callers as people write them: sockets of two address families show IPv4 as a kind of IPv6.
import { isIPv4 } from 'node:net';
import { formatHostPort } from './host-port.ts';

const mapped = '::ffff:';

/** `10.0.0.1` for `::ffff:10.0.0.1` (RFC 4291 section 2.5.5.2); other texts stay as they are. */
export function plainHost(host: string): string {
  const inner = host.startsWith(mapped) ? host.slice(mapped.length) : '';
  return isIPv4(inner) ? inner : host;
}

/** The same of an address and port with a colon between them, which an IPv6 address then gets brackets for: `[fd00::1]:80`. */
export function plainPeer(peer: string): string {
  const [, host, port] = /^(.*):(\d{1,5})$/.exec(peer) ?? [];
  if (host === undefined) return peer;
  return formatHostPort({ host: plainHost(host), port: Number(port) });
}
