// The virtual host that takes requests for unknown hosts: passed on, resolved by name, or refused.
import { create, toBinary } from '@bufbuild/protobuf';
import {
  type Route,
  RouteSchema,
  type VirtualHost,
  VirtualHostSchema,
} from '../../../../protos/gen/envoy/config/route/v3/route_components_pb.js';
import type { OutboundPolicy } from '../../../model/sidecar-scope.ts';
import { encodeField } from '../../../resource.ts';
import { dynamicDnsCluster, outboundCluster, passthroughCluster } from '../../names.ts';
import { seconds } from '../wire.ts';

/** Names of the catch-all virtual host and its route, by what it does. */
export type CatchAllName = 'allow_any' | 'allow_any_dynamic_dns' | 'block_all';

/** The name that a policy leads to. */
export function catchAllName({ mode }: OutboundPolicy): CatchAllName {
  if (mode === 'ALLOW_ANY') return 'allow_any';
  return mode === 'ALLOW_ANY_DYNAMIC_DNS' ? 'allow_any_dynamic_dns' : 'block_all';
}

/** The catch-all virtual host. */
export function catchAllHost(policy: OutboundPolicy, attemptCount: boolean): VirtualHost {
  const name = catchAllName(policy);
  return create(VirtualHostSchema, {
    name,
    domains: ['*'],
    routes: [routeOf(name, policy)],
    includeRequestAttemptCount: attemptCount,
  });
}

/** The catch-all as field `virtual_hosts` of a route configuration. */
export function catchAllFrame(policy: OutboundPolicy, attemptCount: boolean): Uint8Array {
  return encodeField(2, toBinary(VirtualHostSchema, catchAllHost(policy, attemptCount)));
}

/** The cluster of traffic to unknown destinations. */
export function outboundPolicyCluster({ mode, egressProxy }: OutboundPolicy): string | undefined {
  if (mode === 'REGISTRY_ONLY') return undefined;
  if (egressProxy !== undefined) {
    return outboundCluster(egressProxy.port?.number ?? 0, egressProxy.subset ?? '', egressProxy.host);
  }
  return mode === 'ALLOW_ANY' ? passthroughCluster : dynamicDnsCluster;
}

function routeOf(name: CatchAllName, policy: OutboundPolicy): Route {
  const cluster = outboundPolicyCluster(policy);
  return create(RouteSchema, {
    name,
    match: { pathSpecifier: { case: 'prefix', value: '/' } },
    action:
      cluster === undefined
        ? { case: 'directResponse', value: { status: 502 } }
        : {
            case: 'route',
            value: {
              clusterSpecifier: { case: 'cluster', value: cluster },
              timeout: seconds(0),
              maxGrpcTimeout: seconds(0),
            },
          },
  });
}
