// The services a client sees, per egress listener and namespace: small lists, so that a change touches few of them.

import { exportedTo } from '../../config/export-to.ts';
import { compareText } from '../../config/object.ts';
import { query, type Read } from '../graph/graph.ts';
import type { Service } from './service.ts';
import { serviceKeys, services, servicesByHost, servicesByNamespace } from './services.ts';
import { type EgressListener, egressAdmits, type ScopeKey, sidecarScope } from './sidecar-scope.ts';

/** A service within a scope. `ports` limits it to the ports its listener takes; absent means all. */
export interface ScopedService {
  /** Key of the service. */
  readonly service: string;
  readonly ports?: readonly number[];
}

/** Which services: those of one namespace behind one egress listener (its place in `SidecarScope.egress`). */
export interface ScopeServicesKey extends ScopeKey {
  readonly listener: number;
  /** The services' namespace. */
  readonly of: string;
}

/** All namespaces that have services, sorted. */
export const serviceNamespaces = query('service-namespaces', (read, _key: 'all'): readonly string[] => {
  const namespaces = new Set<string>();
  for (const key of read(serviceKeys, 'all')) namespaces.add(key.slice(0, key.indexOf('/')));
  return [...namespaces].sort();
});

/**
 * Services of one namespace that an egress listener imports, sorted by key. Where several namespaces define the same
 * host, only the one that wins for this client is listed.
 */
export const scopeServices = query<ScopeServicesKey, readonly ScopedService[]>(
  'scope-services',
  (read, { namespace, scope, listener, of }) => {
    const found: ScopedService[] = [];
    const client = { namespace, scope };
    const egress = read(sidecarScope, client).egress[listener];
    if (egress === undefined) return found;
    for (const key of read(servicesByNamespace, of)) {
      const service = read(services, key);
      const scoped = service === undefined ? undefined : imported(service, client, egress);
      if (service === undefined || scoped === undefined) continue;
      if (winnerOf(read, service.hostname, client, egress) === key) found.push(scoped);
    }
    return found;
  },
  { idOf: ({ namespace, scope, listener, of }) => `${namespace}|${scope}|${listener}|${of}` },
);

/** The service of a host that a scope's egress listeners import, the first in order; see `serviceOfHost`. */
export const importedServiceOfHost = query<ScopeKey & { readonly hostname: string }, ScopedService | undefined>(
  'imported-service-of-host',
  (read, { namespace, scope, hostname }) => {
    const client = { namespace, scope };
    for (const egress of read(sidecarScope, client).egress) {
      const key = winnerOf(read, hostname, client, egress);
      const service = key === undefined ? undefined : read(services, key);
      const scoped = service === undefined ? undefined : imported(service, client, egress);
      if (scoped !== undefined) return scoped;
    }
    return undefined;
  },
  { idOf: ({ namespace, scope, hostname }) => `${namespace}|${scope}|${hostname}` },
);

function imported(service: Service, client: ScopeKey, egress: EgressListener): ScopedService | undefined {
  if (!exportedTo(service.exportTo, client.namespace)) return undefined;
  if (!egressAdmits(egress, service.namespace, service.hostname)) return undefined;
  const number = matchedPort(egress);
  if (number === 0) return { service: service.key };
  return service.ports.some((port) => port.number === number) ? { service: service.key, ports: [number] } : undefined;
}

/**
 * Of the services that define a host, the one a client gets: with a Sidecar its own namespace's, then Kubernetes' before
 * a ServiceEntry's, then the oldest.
 */
function winnerOf(read: Read, hostname: string, client: ScopeKey, egress: EgressListener): string | undefined {
  const rivals = read(servicesByHost, hostname);
  if (rivals.length <= 1) return rivals[0];
  const candidates = rivals
    .map((key) => read(services, key))
    .filter((service) => service !== undefined && imported(service, client, egress) !== undefined) as Service[];
  const own = (service: Service): number => (client.scope !== '' && service.namespace === client.namespace ? 0 : 1);
  const kubernetes = (service: Service): number => (service.registry === 'Kubernetes' ? 0 : 1);
  const best = candidates.sort(
    (a, b) =>
      own(a) - own(b) ||
      kubernetes(a) - kubernetes(b) ||
      compareText(a.creationTimestamp, b.creationTimestamp) ||
      compareText(a.name, b.name) ||
      compareText(a.key, b.key),
  )[0];
  return best?.key;
}

/** The port that services must have for a listener; 0 where any will do: forward proxies and Unix sockets take all. */
export function matchedPort({ port, bind }: EgressListener): number {
  return port === undefined || port.protocol.toUpperCase() === 'HTTP_PROXY' || bind.startsWith('unix://')
    ? 0
    : port.number;
}
