// A host and a port in one text, as settings, flags and configuration have them.
import { isIPv6 } from 'node:net';

/** The parts. The host is without brackets, and empty where the text begins with the colon: all addresses. */
export interface HostPort {
  readonly host: string;
  /** 0 to 65535. */
  readonly port: number;
}

/**
 * Reads `host:port`, `[v6]:port` or `:port`; undefined where it is none. Brackets hold nothing but an IPv6 address, and
 * without them there is none, since nothing would tell where it ends. With `defaultPort` the port may be missing, and
 * then the host may be an IPv6 address as it is, too.
 */
export function parseHostPort(text: string, defaultPort?: number): HostPort | undefined {
  if (defaultPort !== undefined && isIPv6(text)) return { host: text, port: defaultPort };
  const parts = /^(?:\[([^[\]]*)\]|([^[\]:]*))(?::(\d{1,5}))?$/.exec(text);
  if (parts === null) return undefined;
  const [, bracketed, plain = '', digits] = parts;
  const port = digits === undefined ? defaultPort : Number(digits);
  if (port === undefined || port > 65_535 || (plain === '' && bracketed === undefined && digits === undefined)) {
    return undefined;
  }
  if (bracketed !== undefined) return isIPv6(bracketed) ? { host: bracketed, port } : undefined;
  return isHostName(plain) ? { host: plain, port } : undefined;
}

/** The text of the parts: an IPv6 address gets brackets. */
export function formatHostPort({ host, port }: HostPort): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A DNS name or IPv4 address, or nothing. */
function isHostName(host: string): boolean {
  return host === '' || /^[A-Za-z0-9_]([A-Za-z0-9._-]{0,252})$/.test(host);
}
