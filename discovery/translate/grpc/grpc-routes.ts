// Routes of proxyless gRPC: the virtual host of one service's port, by the name `outbound|port||host`.
import type { Read } from '../../graph/graph.ts';
import { sidecarScope } from '../../model/sidecar-scope.ts';
import type { ProxySettings } from '../../proxy/proxy.ts';
import type { EncodedResource } from '../../resource.ts';
import { emptyRouteConfiguration, routeConfiguration } from '../envoy/route/route-configuration.ts';
import { virtualHostFrame } from '../envoy/route/virtual-host.ts';
import { type RouteClient, virtualHostPlan } from '../envoy/route/virtual-host-plan.ts';
import { defineTranslator, type ResourceRef, resourceQuery } from '../translator.ts';
import { outboundTargetOf } from './target.ts';

/** Routes of proxyless gRPC. A name that stands for nothing gets an empty answer, as sidecars do. */
export const grpcRoutes = defineTranslator('grpc-routes', {
  type: 'route',
  facets: ['namespace', 'scope', 'dnsDomain', 'labels', 'ipFamily', 'settings'],
  list: () => new Map(),
  find: (_read, client, name) => ({ query: routes, key: { ...client, name } }) as unknown as ResourceRef,
});

interface RouteKey extends Omit<RouteClient, 'settings'> {
  readonly settings: ProxySettings;
  readonly name: string;
}

const routes = resourceQuery<RouteKey>(
  'grpc-route',
  ({ name, ...client }) => JSON.stringify([name, ...Object.entries(client).sort(([a], [b]) => (a < b ? -1 : 1))]),
  (read, { name, ...client }) => configurationOf(read, client, name),
);

function configurationOf(read: Read, client: Omit<RouteKey, 'name'>, name: string): EncodedResource {
  const target = outboundTargetOf(read, client, name);
  if (target === undefined) return emptyRouteConfiguration(name);
  const { service, port } = target;
  const { egress } = read(sidecarScope, client);
  for (let listener = 0; listener < egress.length; listener++) {
    const own = egress[listener]?.port?.number ?? 0;
    if (own !== 0 && own !== port) continue;
    const plan = read(virtualHostPlan, { ...client, listener, port, attemptCount: false });
    const host = plan.find((one) => one.name === `${service.hostname}:${port}`);
    if (host === undefined) continue;
    // Channels match the target as they dialled it, which has a port.
    const domains = host.domains.flatMap((domain) => [`${domain}:${port}`, domain]);
    return routeConfiguration(name, [read(virtualHostFrame, { ...host, domains, streamTimeouts: true })]);
  }
  return emptyRouteConfiguration(name);
}
