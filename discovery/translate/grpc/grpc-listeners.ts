// Listeners of proxyless gRPC: an API listener for each target that a channel dials, and servers' own listeners.
import { create, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { ListenerSchema } from '../../../protos/gen/envoy/config/listener/v3/listener_pb.js';
import { HTTPFaultSchema } from '../../../protos/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { RouterSchema } from '../../../protos/gen/envoy/extensions/filters/http/router/v3/router_pb.js';
import { HttpConnectionManagerSchema } from '../../../protos/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { encodeResource } from '../../resource.ts';
import { typeUrls } from '../../xds-types.ts';
import { httpFilter } from '../envoy/filters/http-filter.ts';
import { listenerAddresses } from '../envoy/listener-parts.ts';
import { faultFilter } from '../envoy/route/fault.ts';
import { adsSource } from '../envoy/sds.ts';
import { packed } from '../envoy/wire.ts';
import { outboundCluster } from '../names.ts';
import { defineTranslator, type ResourceRef, resourceQuery } from '../translator.ts';
import { serverListener, serverListenerKey } from './server-listener.ts';
import { targetOf } from './target.ts';

/** Listeners of proxyless gRPC, which asks for each by name (contract 1.11). */
export const grpcListeners = defineTranslator('grpc-listeners', {
  type: 'listener',
  facets: ['namespace', 'scope', 'dnsDomain', 'labels', 'targets'],
  list: () => new Map(),
  find: (read, client, name) => {
    const server = serverListenerKey(read, client, name);
    if (server !== undefined) return { query: serverListener, key: server } as unknown as ResourceRef;
    const target = targetOf(read, client, name);
    if (target === undefined) return undefined;
    const { service, port } = target;
    const address = service.addresses.find((one) => !one.includes('/')) ?? '0.0.0.0';
    const key: ApiListenerKey = { name, address, port, route: outboundCluster(port, '', service.hostname) };
    return { query: apiListener, key } as unknown as ResourceRef;
  },
});

interface ApiListenerKey {
  /** As the channel wrote it: the answer must carry the same name. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly route: string;
}

const apiListener = resourceQuery<ApiListenerKey>(
  'grpc-listener',
  (key) => JSON.stringify(key),
  (_read, { name, address, port, route }) => {
    const manager = create(HttpConnectionManagerSchema, {
      statPrefix: route,
      routeSpecifier: { case: 'rds', value: { configSource: adsSource(), routeConfigName: route } },
      httpFilters: [
        httpFilter(faultFilter, packed(HTTPFaultSchema, {})),
        httpFilter('envoy.filters.http.router', packed(RouterSchema, {})),
      ],
    });
    const listener = create(ListenerSchema, {
      name,
      ...listenerAddresses([address], port),
      apiListener: { apiListener: create(AnySchema, packed(HttpConnectionManagerSchema, manager)) },
    });
    return encodeResource(typeUrls.listener, name, toBinary(ListenerSchema, listener));
  },
);
