// The full names that a client's resolver would try for a host: its DNS search path, most likely first.

/** Full names for a host as written, in the order in which `dnsDomain` (`ns.svc.cluster.local`) would be searched. */
export function fqdnCandidates(host: string, dnsDomain: string): readonly string[] {
  const lower = host.toLowerCase().replace(/\.$/u, '');
  const service = dnsDomain.slice(dnsDomain.indexOf('.') + 1);
  const cluster = service.slice(service.indexOf('.') + 1);
  const tries = [lower, `${lower}.${dnsDomain}`, `${lower}.${service}`, `${lower}.${cluster}`];
  return [...new Set(tries)].filter((name) => name !== '');
}
