// The host lists of Sidecar egress listeners: `namespace/host` with `.`, `*` and `~`.
import { hostsMatch, hostWithin } from './hostname.ts';

/** Host patterns by namespace; the namespace `*` stands for all that are not named, and `~` before one excludes. */
export type HostPatterns = Readonly<Record<string, readonly string[]>>;

/**
 * Reads `namespace/host` entries: `.` becomes the client's namespace, a missing namespace means any, `~namespace/host`
 * excludes what others admit, and `~/host` does so for all namespaces.
 */
export function patternsOf(hosts: readonly string[], client: string): HostPatterns {
  const patterns: Record<string, string[]> = Object.create(null);
  for (const entry of hosts) {
    const slash = entry.indexOf('/');
    const prefix = slash < 0 ? '*' : entry.slice(0, slash);
    const host = (slash < 0 ? entry : entry.slice(slash + 1)).toLowerCase();
    const namespace = prefix === '.' ? client : prefix === '~.' ? `~${client}` : prefix === '~' ? '~*' : prefix;
    const list = patterns[namespace] ?? [];
    list.push(host);
    patterns[namespace] = list;
  }
  return patterns;
}

/**
 * Whether the patterns take in a host of a namespace. Named namespaces take precedence over `*`. A service must be
 * covered by the pattern; a route (VirtualService host) matches in both directions, as Istio's does.
 */
export function admits(patterns: HostPatterns, namespace: string, host: string, what: 'service' | 'route'): boolean {
  const excluded = [...(patterns[`~${namespace}`] ?? []), ...(patterns['~*'] ?? [])];
  if (excluded.some((pattern) => hostWithin(host, pattern))) return false;
  const candidates = patterns[namespace] ?? patterns['*'] ?? [];
  return candidates.some((pattern) => {
    if (pattern === host) return true;
    if (what === 'service') return hostWithin(host, pattern);
    return (host.startsWith('*') || pattern.startsWith('*')) && hostsMatch(host, pattern);
  });
}
