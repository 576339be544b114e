// How hosts of rules relate: which have a name in common, and whether one lies within others.

/** Whether every name of `inner` is one of `outer`; either may begin with `*`. */
export function hostWithin(inner: string, outer: string): boolean {
  if (!outer.startsWith('*')) return inner === outer;
  const suffix = outer.slice(1);
  return inner.startsWith('*') ? inner.length >= outer.length && inner.endsWith(suffix) : inner.endsWith(suffix);
}

/** Says of a host whether it lies within one of `outers`, in time that does not grow with their number. */
export function withinAny(outers: readonly string[]): (inner: string) => boolean {
  const exact = new Set(outers.filter((host) => !host.startsWith('*')));
  const suffixes = new Set(outers.filter((host) => host.startsWith('*')).map((host) => host.slice(1)));
  return (inner) => exact.has(inner) || suffixesOf(inner).some((suffix) => suffixes.has(suffix));
}

/** Hosts that have a name in common with an earlier one: their position, and that of the other. */
export function overlapsOf(hosts: readonly string[]): readonly { readonly index: number; readonly other: number }[] {
  const exact = new Map<string, number>();
  const wild = new Map<string, number>();
  for (const [index, host] of hosts.entries()) {
    const [map, key] = host.startsWith('*') ? [wild, host.slice(1)] : [exact, host];
    if (!map.has(key)) map.set(key, index);
  }
  const found = new Map<number, number>();
  for (const [index, host] of hosts.entries()) {
    const others = [exact.get(host), ...suffixesOf(host).map((suffix) => wild.get(suffix))];
    for (const other of others) {
      if (other === undefined || other === index) continue;
      const later = Math.max(index, other);
      if (!found.has(later)) found.set(later, Math.min(index, other));
    }
  }
  return [...found].map(([index, other]) => ({ index, other })).sort((a, b) => a.index - b.index);
}

/**
 * The service in a server name of cross-network traffic, `outbound_.80_.v1_.reviews.default.svc.cluster.local`; other
 * hosts as they are.
 */
export function withoutSniPrefix(host: string): string {
  return host.replace(/^outbound_\.[0-9]+_\.[-A-Za-z0-9]*_\./, '');
}

/** What a wildcard that covers the host may have after its `*`. Names have at most 255 characters, so these are few. */
function suffixesOf(host: string): readonly string[] {
  const text = host.startsWith('*') ? host.slice(1) : host;
  return Array.from({ length: Math.min(text.length, 256) + 1 }, (_, start) => text.slice(start));
}
