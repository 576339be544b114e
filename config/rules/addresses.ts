// IP addresses, ranges and Unix socket paths in configuration.
import { isIP } from 'node:net';
import { type Findings, fine, invalid } from './finding.ts';

/** Whether a text is an IPv4 or IPv6 address; a zone (`%eth0`) is allowed for IPv6. */
export function isIpAddress(text: string): boolean {
  return isIP(text) !== 0;
}

/** Whether a text is `address/bits`. */
export function isIpRange(text: string): boolean {
  const slash = text.lastIndexOf('/');
  if (slash < 0) return false;
  const version = isIP(text.slice(0, slash));
  const bits = text.slice(slash + 1);
  if (version === 0 || text.includes('%') || !/^(?:0|[1-9][0-9]{0,2})$/.test(bits)) return false;
  return Number(bits) <= (version === 4 ? 32 : 128);
}

/** Checks an IP address. */
export function checkIpAddress(text: string | undefined, path: string): Findings {
  return isIpAddress(text ?? '') ? fine : invalid(path, `${text ?? ''} is not a valid IP`);
}

/** Checks an IP address or range. */
export function checkIpOrRange(text: string, path: string): Findings {
  if (!text.includes('/')) return checkIpAddress(text, path);
  return isIpRange(text) ? fine : invalid(path, `${text} is not a valid CIDR block`);
}

/** The scheme in front of a Unix socket's path. */
export const unixPrefix = 'unix://';

/** Checks the path of a Unix socket: absolute and not a folder, or an abstract name after `@`. */
export function checkUnixPath(path: string, at: string): Findings {
  if (path === '') return invalid(at, 'unix address must not be empty');
  if (path.startsWith('@')) return fine;
  if (path.startsWith('/') && !path.endsWith('/')) return fine;
  return invalid(at, `${path} is not an absolute path to a file`);
}
