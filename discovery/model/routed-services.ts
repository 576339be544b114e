// Services that a Sidecar's egress hosts leave out, but that VirtualServices behind them send requests to.

import { exportedTo } from '../../config/export-to.ts';
import { compareText } from '../../config/object.ts';
import { query, type Read } from '../graph/graph.ts';
import { routeTargets } from './route.ts';
import { routeNamespaces, type ScopeListenerKey, scopeRoutesOf } from './scope-routes.ts';
import { importedServiceOfHost, matchedPort, type ScopedService } from './scope-services.ts';
import { services, servicesByHost } from './services.ts';
import { type ScopeKey, sidecarScope } from './sidecar-scope.ts';

/** A host that routes name, with the ports that they name for it; 0 where one of them names none. */
interface RoutedHost {
  readonly host: string;
  readonly ports: readonly number[];
}

/** Hosts to which the VirtualServices of one namespace send what comes to an egress listener, sorted. */
const routedHosts = query<ScopeListenerKey & { readonly of: string }, readonly RoutedHost[]>(
  'routed-hosts',
  (read, key) => {
    const found = new Map<string, Set<number>>();
    for (const routes of read(scopeRoutesOf, key)) {
      for (const { host, port, sources } of read(routeTargets, routes) ?? []) {
        if (sources === undefined || sources.includes(key.namespace))
          found.set(host, (found.get(host) ?? new Set()).add(port));
      }
    }
    return [...found]
      .sort(([a], [b]) => compareText(a, b))
      .map(([host, ports]) => ({ host, ports: [...ports].sort((a, b) => a - b) }));
  },
  { idOf: ({ namespace, scope, listener, of }) => `${namespace}|${scope}|${listener}|${of}` },
);

/**
 * Services that a client gets clusters for only because a route behind its Sidecar names them, by hostname. Empty
 * without a Sidecar: then all that is visible is there. What an egress listener imports itself takes precedence.
 */
export const routedServices = query<ScopeKey, ReadonlyMap<string, ScopedService>>(
  'routed-services',
  (read, { namespace, scope }) => {
    const found = new Map<string, ScopedService>();
    if (scope === '') return found;
    for (const [listener, egress] of read(sidecarScope, { namespace, scope }).egress.entries()) {
      const only = matchedPort(egress);
      for (const of of read(routeNamespaces, 'all')) {
        for (const { host, ports } of read(routedHosts, { namespace, scope, listener, of })) {
          const wanted = only !== 0 ? [only] : ports.includes(0) ? undefined : ports;
          const next = serviceFor(read, { namespace, scope }, host, wanted);
          if (next !== undefined) found.set(host, joined(found.get(host), next));
        }
      }
    }
    return found;
  },
  { idOf: ({ namespace, scope }) => `${namespace}|${scope}` },
);

/** The service that a host stands for in a scope: one that its egress listeners import, else one that its routes name. */
export const serviceOfHost = query<ScopeKey & { readonly hostname: string }, ScopedService | undefined>(
  'service-of-host',
  (read, { namespace, scope, hostname }) =>
    read(importedServiceOfHost, { namespace, scope, hostname }) ??
    (scope === '' ? undefined : read(routedServices, { namespace, scope }).get(hostname)),
  { idOf: ({ namespace, scope, hostname }) => `${namespace}|${scope}|${hostname}` },
);

/** The client's own namespace's service, else that of the first namespace which lets the client see it. */
function serviceFor(
  read: Read,
  client: ScopeKey,
  hostname: string,
  ports: readonly number[] | undefined,
): ScopedService | undefined {
  const candidates = read(servicesByHost, hostname)
    .map((key) => read(services, key))
    .filter((service) => service !== undefined)
    .filter(({ exportTo, namespace }) => namespace === client.namespace || exportedTo(exportTo, client.namespace))
    .sort((a, b) => compareText(a.namespace, b.namespace));
  const chosen = candidates.find(({ namespace }) => namespace === client.namespace) ?? candidates[0];
  if (chosen === undefined) return undefined;
  const imported = read(importedServiceOfHost, { ...client, hostname });
  if (imported !== undefined && (imported.service !== chosen.key || imported.ports === undefined)) return undefined;
  const offered = ports?.filter((port) => chosen.ports.some(({ number }) => number === port));
  if (offered === undefined) return { service: chosen.key };
  return offered.length === 0 ? undefined : { service: chosen.key, ports: offered };
}

function joined(before: ScopedService | undefined, next: ScopedService): ScopedService {
  if (before === undefined) return next;
  if (before.ports === undefined || next.ports === undefined) return { service: next.service };
  return { service: next.service, ports: [...new Set([...before.ports, ...next.ports])].sort((a, b) => a - b) };
}
