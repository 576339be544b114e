// The services with an HTTP port behind an egress listener, namespace by namespace, and the rules that speak for each.
import { query } from '../../../graph/graph.ts';
import { isHttp } from '../../../model/protocol.ts';
import { routesOfService, type ScopeListenerKey, scopeRoutesNaming } from '../../../model/scope-routes.ts';
import { scopeServices } from '../../../model/scope-services.ts';
import type { Protocol } from '../../../model/service.ts';
import { services } from '../../../model/services.ts';

/** A service with the ports on which it may be called over HTTP. */
export interface PortService {
  readonly service: string;
  readonly hostname: string;
  readonly ports: readonly number[];
  /** VirtualServices that name it, in order. */
  readonly naming: readonly string[];
  /** The VirtualService that speaks for it by its most specific host. */
  readonly speaking: string | undefined;
}

/** Services of one namespace on one port; port 0 stands for all their ports. */
export interface PortServicesKey extends ScopeListenerKey {
  readonly of: string;
  readonly port: number;
}

/** HTTP services of one namespace behind an egress listener's port. */
export const portServices = query<PortServicesKey, readonly PortService[]>(
  'port-services',
  (read, { of, port, ...client }) => {
    const found: PortService[] = [];
    for (const scoped of read(scopeServices, { ...client, of })) {
      const service = read(services, scoped.service);
      const offered = (service?.ports ?? []).filter(({ number }) => scoped.ports?.includes(number) ?? true);
      const ports = offered
        .filter(({ number, protocol }) => (port === 0 || number === port) && mayBeHttp(protocol))
        .map(({ number }) => number);
      // An ExternalName only lends its names to the service that it stands for.
      if (
        service === undefined ||
        service.resolution === 'alias' ||
        !offered.some(({ number }) => port === 0 || number === port)
      )
        continue;
      const { hostname } = service;
      found.push({
        service: service.key,
        hostname,
        ports,
        naming: read(scopeRoutesNaming, { ...client, host: hostname }),
        speaking: read(routesOfService, { ...client, hostname })[0],
      });
    }
    return found;
  },
  { idOf: ({ namespace, scope, listener, of, port }) => `${namespace}|${scope}|${listener}|${of}|${port}` },
);

/** Whether a port is served as HTTP, or may turn out to be when sniffed. */
export function mayBeHttp(protocol: Protocol): boolean {
  return isHttp(protocol) || isSniffed(protocol);
}

/** Whether a port's protocol is unknown until bytes arrive. */
export function isSniffed(protocol: Protocol): boolean {
  return protocol === 'auto' || protocol === 'hbone';
}
