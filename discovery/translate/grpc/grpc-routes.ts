// Routes of proxyless gRPC: the virtual host of one service's port, by the name `outbound|port||host`.
import type { Read } from '../../graph/graph.ts';
import { type ClientView, clientView, clientViewId } from '../../model/client-view.ts';
import { sidecarScope } from '../../model/sidecar-scope.ts';
import type { EncodedResource } from '../../resource.ts';
import { emptyRouteConfiguration, routeConfiguration } from '../envoy/route/route-configuration.ts';
import { virtualHostFrame, virtualHostKey } from '../envoy/route/virtual-host.ts';
import { virtualHostPlan } from '../envoy/route/virtual-host-plan.ts';
import { defineTranslator, refTo, resourceQuery } from '../translator.ts';
import { outboundTargetOf } from './target.ts';

/** Routes of proxyless gRPC. A name that stands for nothing gets an empty answer, as sidecars do. */
export const grpcRoutes = defineTranslator('grpc-routes', {
  type: 'route',
  facets: ['namespace', 'scope', 'dnsDomain', 'labels', 'ipFamily'],
  list: () => new Map(),
  find: (read, client, name) => {
    const { dnsDomain, ipFamily } = client;
    return refTo(routes, { ...clientView(read, client), dnsDomain, ipFamily, name });
  },
});

interface RouteKey extends ClientView {
  readonly dnsDomain: string;
  readonly ipFamily: 'v4' | 'v6' | 'dual';
  readonly name: string;
}

const routes = resourceQuery<RouteKey>(
  'grpc-route',
  (key) => `${key.name}|${clientViewId(key)}|${key.dnsDomain}|${key.ipFamily}`,
  (read, key) => configurationOf(read, key),
);

function configurationOf(read: Read, { name, ...client }: RouteKey): EncodedResource {
  const target = outboundTargetOf(read, client.view, name);
  if (target === undefined) return emptyRouteConfiguration(name);
  const { service, port } = target;
  const { egress } = read(sidecarScope, client.view);
  for (let listener = 0; listener < egress.length; listener++) {
    const own = egress[listener]?.port?.number ?? 0;
    if (own !== 0 && own !== port) continue;
    const plan = read(virtualHostPlan, { ...client, settings: {}, listener, port, attemptCount: false });
    const host = plan.find((one) => one.name === `${service.hostname}:${port}`);
    if (host === undefined) continue;
    // Channels match the target as they dialled it, which has a port.
    const domains = host.domains.flatMap((domain) => [`${domain}:${port}`, domain]);
    const key = virtualHostKey({ ...host, domains, streamTimeouts: true });
    return routeConfiguration(name, [read(virtualHostFrame, key)]);
  }
  return emptyRouteConfiguration(name);
}
