// Callers behind a trusted gateway that ended their TLS and names their certificate in x-forwarded-client-cert.
import { BlockList, isIP } from 'node:net';
import type { Authenticator } from './caller.ts';
import { type Identity, parseIdentity } from './identity.ts';
import { type Refusal, refused } from './refusal.ts';

const longestHeader = 16 * 1024;
/** A gateway vouches for one call; nothing tells how long its client's certificate lasts. */
const vouchedFor = 60_000;

/** Reads TRUSTED_GATEWAY_CIDR (`10.0.0.0/8,fd00::/8`); loopback is always part of it. Refuses what is no CIDR. */
export function trustedGateways(cidrs: string): BlockList | Refusal {
  const list = new BlockList();
  list.addSubnet('127.0.0.0', 8, 'ipv4');
  list.addAddress('::1', 'ipv6');
  for (const cidr of cidrs.split(',').map((each) => each.trim())) {
    const [address = '', prefix = ''] = cidr.split('/');
    const family = isIP(address);
    const bits = /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (family === 0 || !(bits <= (family === 4 ? 32 : 128))) {
      return refused(`${JSON.stringify(cidr.slice(0, 60))} is not a CIDR`);
    }
    list.addSubnet(address, bits, family === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

/** Accepts the URIs of the last element, which is the one that the trusted gateway wrote itself. */
export function forwardedAuthenticator(
  gateways: BlockList,
  trustDomains: () => readonly string[],
  now: () => number,
): Authenticator {
  return async ({ forwardedClientCert, remoteAddress }) => {
    const [header, ...more] = forwardedClientCert ?? [];
    if (header === undefined) {
      return undefined;
    }
    const address = (remoteAddress ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
    const family = isIP(address);
    if (family === 0 || !gateways.check(address, family === 4 ? 'ipv4' : 'ipv6')) {
      return refused('the forwarded certificate is not from a trusted gateway');
    }
    const uris = more.length > 0 || header.length > longestHeader ? [] : lastUris(header);
    const identities = uris
      .map(parseIdentity)
      .filter((each) => each !== undefined && trustDomains().includes(each.trustDomain));
    return identities.length > 0 && identities.length === uris.length
      ? {
          kind: 'identities',
          method: 'forwarded-certificate',
          identities: identities as Identity[],
          validUntil: now() + vouchedFor,
        }
      : refused('the forwarded certificate names no workload of our trust domain');
  };
}

/** The `URI` values of the last element: elements are divided by commas, pairs by semicolons, except inside quotes. */
function lastUris(header: string): readonly string[] {
  const last = splitOutsideQuotes(header, ',').at(-1) ?? '';
  return splitOutsideQuotes(last, ';').flatMap((pair) => {
    const [, value] = /^\s*URI="?([^"\s]*)"?\s*$/i.exec(pair) ?? [];
    return value === undefined || value === '' ? [] : [value];
  });
}

function splitOutsideQuotes(text: string, divider: string): readonly string[] {
  const parts: string[] = [];
  let quoted = false;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') {
      i += 1;
    } else if (text[i] === '"') {
      quoted = !quoted;
    } else if (text[i] === divider && !quoted) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  return [...parts, text.slice(start)];
}
