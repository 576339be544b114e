// Host names of services and rules: full names of short ones, wildcards, and which of two is more specific.
import { compareText } from '../../config/object.ts';

/**
 * The full name of a host that an object in `namespace` mentions: a name without a dot is a service of that namespace.
 * Lower case, since Envoy and DNS compare without regard to case (contract 5.2, #14).
 */
export function fqdnOf(host: string, namespace: string, domain: string): string {
  const lower = host.toLowerCase();
  if (lower === '' || lower === '*' || lower.includes('.')) return lower;
  if (namespace === '') return lower;
  return domain === '' ? `${lower}.${namespace}` : `${lower}.${namespace}.svc.${domain}`;
}

/** Whether a host stands for several: it begins with `*`. */
export function isWildcard(host: string): boolean {
  return host.startsWith('*');
}

/** Whether two hosts have a name in common; either may be a wildcard. */
export function hostsMatch(a: string, b: string): boolean {
  if (isWildcard(a)) {
    if (!isWildcard(b)) return b.endsWith(a.slice(1));
    return a.length < b.length ? b.slice(1).endsWith(a.slice(1)) : a.slice(1).endsWith(b.slice(1));
  }
  return isWildcard(b) ? a.endsWith(b.slice(1)) : a === b;
}

/** Whether every name of `inner` is one of `outer`. */
export function hostWithin(inner: string, outer: string): boolean {
  if (isWildcard(inner)) {
    return isWildcard(outer) && inner.length >= outer.length && inner.slice(1).endsWith(outer.slice(1));
  }
  return isWildcard(outer) ? inner.endsWith(outer.slice(1)) : inner === outer;
}

/** Order with the most specific host first: full names before wildcards, longer before shorter, then by text. */
export function compareSpecificity(a: string, b: string): number {
  const wild = Number(isWildcard(a)) - Number(isWildcard(b));
  return wild || b.length - a.length || compareText(a, b);
}

/**
 * The hosts that a rule for `host` may be written under, the most specific first: the host itself, then the wildcards
 * that cover it, ending in `*`. Lets a look-up go through an index instead of every rule.
 */
export function coveringHosts(host: string): readonly string[] {
  const found = [host];
  const rest = isWildcard(host) ? host.slice(1) : host;
  for (let dot = rest.indexOf('.'); dot >= 0; dot = rest.indexOf('.', dot + 1)) {
    const covering = `*${rest.slice(dot)}`;
    if (covering !== host && rest.length > dot + 1) found.push(covering);
  }
  if (host !== '*') found.push('*');
  return found;
}

/** The most specific of `candidates` that covers `host`, or undefined. */
export function mostSpecificCovering(host: string, candidates: readonly string[]): string | undefined {
  return candidates.filter((candidate) => hostWithin(host, candidate)).sort(compareSpecificity)[0];
}
