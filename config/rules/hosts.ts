// How hosts of rules relate: whether two have a name in common, and whether one lies within another.

/** Whether two hosts have a name in common; either may begin with `*`. */
export function hostsOverlap(a: string, b: string): boolean {
  if (!a.startsWith('*')) return b.startsWith('*') ? a.endsWith(b.slice(1)) : a === b;
  if (!b.startsWith('*')) return b.endsWith(a.slice(1));
  return a.length < b.length ? b.endsWith(a.slice(1)) : a.endsWith(b.slice(1));
}

/** Whether every name of `inner` is one of `outer`. */
export function hostWithin(inner: string, outer: string): boolean {
  if (!outer.startsWith('*')) return inner === outer;
  const suffix = outer.slice(1);
  return inner.startsWith('*') ? inner.length >= outer.length && inner.endsWith(suffix) : inner.endsWith(suffix);
}

/**
 * The service in a server name of cross-network traffic, `outbound_.80_.v1_.reviews.default.svc.cluster.local`; other
 * hosts as they are.
 */
export function withoutSniPrefix(host: string): string {
  return host.replace(/^outbound_\.[0-9]+_\.[-A-Za-z0-9]*_\./, '');
}
