// Which VirtualServices a client's egress listener takes in, and which of them speaks for a host.

import { exportedTo } from '../../config/export-to.ts';
import { meshGateway } from '../../config/gateway-name.ts';
import { compareText } from '../../config/object.ts';
import { query, type Read } from '../graph/graph.ts';
import { compareSpecificity, coveringHosts, isWildcard } from './hostname.ts';
import { facts } from './objects.ts';
import {
  compareRoutes,
  routeShape,
  routesByGateway,
  routesByGatewayAndNamespace,
  routesByHost,
  streamRoutesByHost,
} from './route.ts';
import { egressAdmitsRoute, type ScopeKey, sidecarScope } from './sidecar-scope.ts';

/** An egress listener of a scope, by its place in `SidecarScope.egress`. */
export interface ScopeListenerKey extends ScopeKey {
  readonly listener: number;
}

const idOfListener = ({ namespace, scope, listener }: ScopeListenerKey): string => `${namespace}|${scope}|${listener}`;

/** Namespaces with VirtualServices for sidecars, sorted. */
export const routeNamespaces = query('route-namespaces', (read, _key: 'all'): readonly string[] => {
  const found = new Set<string>();
  for (const key of read(routesByGateway, meshGateway)) found.add(key.slice(0, key.indexOf('/')));
  return [...found].sort(compareText);
});

/** Keys of the VirtualServices of one namespace that an egress listener takes in, in Istio's order. */
export const scopeRoutesOf = query<ScopeListenerKey & { readonly of: string }, readonly string[]>(
  'scope-routes-of',
  (read, { of, ...client }) => admitted(read, client, read(routesByGatewayAndNamespace, `${meshGateway}|${of}`)),
  { idOf: (key) => `${idOfListener(key)}|${key.of}` },
);

/** Keys of the VirtualServices that an egress listener takes in and that name exactly this host, in Istio's order. */
export const scopeRoutesNaming = query<ScopeListenerKey & { readonly host: string }, readonly string[]>(
  'scope-routes-naming',
  (read, { host, ...client }) => admitted(read, client, read(routesByHost, `${meshGateway}|${host}`)),
  { idOf: (key) => `${idOfListener(key)}|${key.host}` },
);

/**
 * Keys of the VirtualServices that speak for a service, best first: all that name it, else the first that names the
 * most specific wildcard over it. With Istio's flag for its old heuristic, wildcards compete by age.
 */
export const routesOfService = query<ScopeListenerKey & { readonly hostname: string }, readonly string[]>(
  'routes-of-service',
  (read, { hostname, ...client }) => {
    const found = [...coveringHosts(hostname)]
      .sort(compareSpecificity)
      .map((host) => ({ host, keys: read(scopeRoutesNaming, { ...client, host }) }))
      .filter(({ keys }) => keys.length > 0);
    const best = found[0];
    if (best === undefined) return [];
    if (read(facts, 'facts').features[oldestFirst] === 'true') {
      return inOrder(read, client.namespace, [...new Set(found.flatMap(({ keys }) => keys))]);
    }
    return isWildcard(best.host) && best.host !== hostname ? best.keys.slice(0, 1) : best.keys;
  },
  { idOf: (key) => `${idOfListener(key)}|${key.hostname}` },
);

/** Keys of the VirtualServices with TLS or TCP routes that match a service's host, in order. */
export const streamRoutesOfService = query<ScopeListenerKey & { readonly hostname: string }, readonly string[]>(
  'stream-routes-of-service',
  (read, { hostname, ...client }) => {
    const keys = coveringHosts(hostname).flatMap((host) => read(streamRoutesByHost, `${meshGateway}|${host}`));
    return admitted(read, client, [...new Set(keys)]);
  },
  { idOf: (key) => `${idOfListener(key)}|${key.hostname}` },
);

const oldestFirst = 'PERSIST_OLDEST_FIRST_HEURISTIC_FOR_VIRTUAL_SERVICE_HOST_MATCHING';

/** Sorts keys of VirtualServices as a namespace ranks them. */
export function inOrder(read: Read, namespace: string, keys: readonly string[]): readonly string[] {
  return keys
    .map((key) => read(routeShape, key))
    .filter((item) => item !== undefined)
    .sort(compareRoutes(namespace))
    .map((item) => item.key);
}

function admitted(read: Read, client: ScopeListenerKey, keys: readonly string[]): readonly string[] {
  if (keys.length === 0) return keys;
  const listener = read(sidecarScope, client).egress[client.listener];
  if (listener === undefined) return [];
  return keys
    .map((key) => read(routeShape, key))
    .filter((item) => item !== undefined)
    .filter(
      (item) => exportedTo(item.exportTo, client.namespace) && egressAdmitsRoute(listener, item.namespace, item.hosts),
    )
    .sort(compareRoutes(client.namespace))
    .map((item) => item.key);
}
