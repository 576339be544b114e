// virtualOutbound: the listener that redirected connections come to, and what happens with those that no other takes.
import { create, toBinary } from '@bufbuild/protobuf';
import { TrafficDirection } from '../../../../protos/gen/envoy/config/core/v3/base_pb.js';
import {
  type FilterChain,
  FilterChainSchema,
} from '../../../../protos/gen/envoy/config/listener/v3/listener_components_pb.js';
import { ListenerSchema } from '../../../../protos/gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../../../../protos/gen/envoy/config/route/v3/route_pb.js';
import type { Read } from '../../../graph/graph.ts';
import { encodeResource } from '../../../resource.ts';
import { typeUrls } from '../../../xds-types.ts';
import { blackHoleCluster } from '../../names.ts';
import { resourceQuery } from '../../translator.ts';
import { accessLogSettings, accessLogs, listenerLogs } from '../filters/access-log.ts';
import type { DynamicDns, FilterClient } from '../filters/context.ts';
import { httpInspector, plainHttp } from '../filters/listener-filters.ts';
import { plainTarget, tcpFilters } from '../filters/tcp-proxy.ts';
import { httpConnectionFilter } from '../http-connection-manager.ts';
import { listenerAddresses, perSocketEvent } from '../listener-parts.ts';
import { proxyHeaders } from '../proxy-config.ts';
import { catchAllHost } from '../route/catch-all.ts';
import { largestDirectResponse } from '../route/route-configuration.ts';

/** Name of the listener. */
export const virtualOutbound = 'virtualOutbound';

/** All that the listener's bytes depend on. */
export interface VirtualOutboundKey {
  readonly binds: readonly string[];
  readonly port: number;
  /** Where connections to unknown destinations go; undefined refuses them. */
  readonly fallback: string | undefined;
  readonly transparent: boolean;
  readonly idleTimeoutMs?: number;
  /** Present where HTTP to unknown hosts is resolved by name. */
  readonly dynamic?: FilterClient & { readonly dynamicDns: DynamicDns };
}

/** Cells of the listener. */
export const virtualOutboundListener = resourceQuery<VirtualOutboundKey>(
  'virtual-outbound',
  (key) => JSON.stringify(key),
  (read, key) => {
    const listener = create(ListenerSchema, {
      name: virtualOutbound,
      ...listenerAddresses(key.binds, key.port),
      trafficDirection: TrafficDirection.OUTBOUND,
      useOriginalDst: true,
      filterChains: [blackHole(key.port), ...dynamicChain(read, key), catchAll(read, key)],
      listenerFilters: key.dynamic === undefined ? [] : [httpInspector()],
      accessLog: listenerLogs(read(accessLogSettings, 'mesh')),
      ...perSocketEvent(read),
      ...(key.transparent ? { transparent: true } : {}),
    });
    return encodeResource(typeUrls.listener, virtualOutbound, toBinary(ListenerSchema, listener));
  },
);

/** Connections to the listener's own port would go round for ever. */
function blackHole(port: number): FilterChain {
  return create(FilterChainSchema, {
    name: 'virtualOutbound-blackhole',
    filterChainMatch: { destinationPort: port },
    filters: tcpFilters(plainTarget(blackHoleCluster), []),
  });
}

function catchAll(read: Read, { fallback, idleTimeoutMs }: VirtualOutboundKey): FilterChain {
  const target = plainTarget(fallback ?? blackHoleCluster);
  return create(FilterChainSchema, {
    name: 'virtualOutbound-catchall-tcp',
    filters: tcpFilters(
      idleTimeoutMs === undefined ? target : { ...target, idleTimeoutMs },
      accessLogs(read(accessLogSettings, 'mesh')),
    ),
  });
}

function dynamicChain(read: Read, { dynamic }: VirtualOutboundKey): readonly FilterChain[] {
  if (dynamic === undefined) return [];
  const name = 'allow_any_dynamic_dns';
  const { attemptCount } = read(proxyHeaders, dynamic.proxyConfig);
  const routes = create(RouteConfigurationSchema, {
    name,
    maxDirectResponseBodySizeBytes: largestDirectResponse,
    ignorePortInHostMatching: true,
    validateClusters: false,
    virtualHosts: [catchAllHost({ mode: 'ALLOW_ANY_DYNAMIC_DNS' }, attemptCount)],
  });
  const filter = httpConnectionFilter(read, {
    context: { ...dynamic, direction: 'outbound', grpcWeb: false },
    statPrefix: `outbound_${virtualOutbound}_${name}`,
    routes,
    explicitProxy: false,
    http2: false,
  });
  return [
    create(FilterChainSchema, {
      name: 'virtualOutbound-catchall-tcp-http',
      filterChainMatch: { applicationProtocols: [...plainHttp] },
      filters: [filter],
    }),
  ];
}
