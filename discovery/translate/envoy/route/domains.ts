// The names by which clients may call a service: full, short ones by the client's namespace, and its addresses.
import { isIPv6 } from 'node:net';

/** Domains of a virtual host, and those of them that are short forms and give way to a real host of that name. */
export interface Domains {
  readonly all: readonly string[];
  readonly short: readonly string[];
}

/** What of a service decides its domains. */
export interface NamedService {
  readonly hostname: string;
  /** Pods of headless services have names of their own below the service's. */
  readonly headless: boolean;
  readonly addresses: readonly string[];
  /** Hosts of ExternalName services that stand for it. */
  readonly aliases: readonly string[];
}

/**
 * Domains of a service for clients with a DNS domain (`ns.svc.cluster.local`). Ports are not part of them, since
 * Istio's route configurations ignore the port of Host.
 */
export function serviceDomains(service: NamedService, dnsDomain: string): Domains {
  const { hostname } = service;
  const short = shortNames(hostname, dnsDomain);
  const names = [...fullNames(hostname), ...short];
  const pods = service.headless ? names.map((name) => `*.${name}`) : [];
  const aliases = service.aliases.flatMap((alias) => [...fullNames(alias), ...shortNames(alias, dnsDomain)]);
  const addresses = service.addresses.filter((address) => !address.includes('/')).map(inBrackets);
  return {
    all: [...names, ...aliases, ...pods, ...addresses],
    short: [...short, ...service.aliases.flatMap((alias) => shortNames(alias, dnsDomain))],
  };
}

function fullNames(hostname: string): readonly string[] {
  return hostname === '*' ? [hostname] : [hostname, `${hostname}.`];
}

/** Short forms that resolve by a client's DNS search path. */
export function shortNames(hostname: string, dnsDomain: string): readonly string[] {
  const own = dnsDomain.indexOf('.svc.');
  return own < 0 ? sharedSuffix(hostname, dnsDomain) : kubernetesNames(hostname, dnsDomain.slice(0, own));
}

function kubernetesNames(hostname: string, namespace: string): readonly string[] {
  const end = hostname.indexOf('.svc.');
  const dot = hostname.indexOf('.');
  if (end <= 0 || dot + 1 > end) return [];
  const base = hostname.slice(0, end);
  const others = [`${base}.svc`, base];
  if (hostname.slice(dot + 1, end) === namespace) return [hostname.slice(0, dot), ...others];
  return others.reverse();
}

/** Outside of Kubernetes: what remains when the domain that client and host share is cut off. */
function sharedSuffix(hostname: string, dnsDomain: string): readonly string[] {
  const parts = hostname.split('.');
  const domain = dnsDomain.split('.');
  let shared = 0;
  while (shared < Math.min(parts.length, domain.length) && parts.at(-1 - shared) === domain.at(-1 - shared)) shared++;
  const unique = parts.slice(0, parts.length - shared).join('.');
  if (shared === 0 || unique === '') return [];
  const rest = domain.slice(domain.length - shared);
  const partial = rest.length === 1 ? [] : [`${unique}.${rest[0]}`];
  return [unique, ...partial];
}

/** IPv6 addresses stand in brackets in Host. */
function inBrackets(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}
