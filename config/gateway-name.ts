// Names of gateways as VirtualServices give them.

/** The gateway name that stands for all sidecars. */
export const meshGateway = 'mesh';

/** `namespace/name` or `mesh`, from what is written: `mesh`, `ns/name`, `./name`, `name`, or the old `name.ns.svc…`. */
export function resolveGatewayName(written: string, namespace: string): string {
  if (written === meshGateway) return written;
  const slash = written.indexOf('/');
  if (slash >= 0) return written.slice(0, slash) === '.' ? `${namespace}/${written.slice(slash + 1)}` : written;
  const [name = '', ofNamespace] = written.split('.');
  return `${ofNamespace ?? namespace}/${name}`;
}

/** A condition with the gateways that it names in full. */
export function withFullGateways<M extends { readonly gateways?: readonly string[] }>(match: M, namespace: string): M {
  if (match.gateways === undefined) return match;
  return { ...match, gateways: match.gateways.map((name) => resolveGatewayName(name, namespace)) };
}
