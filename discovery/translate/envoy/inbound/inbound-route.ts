// The route configuration that stands in an inbound listener: everything goes to the workload's own port.
import { create } from '@bufbuild/protobuf';
import type { HttpRetry } from '../../../../config/kinds/virtual-service.ts';
import {
  type RetryPolicy,
  RetryPolicySchema,
} from '../../../../protos/gen/envoy/config/route/v3/route_components_pb.js';
import {
  type RouteConfiguration,
  RouteConfigurationSchema,
} from '../../../../protos/gen/envoy/config/route/v3/route_pb.js';
import { query } from '../../../graph/graph.ts';
import { mesh } from '../../../model/objects.ts';
import type { Protocol } from '../../../model/service.ts';
import { seconds } from '../wire.ts';

/** What an inbound route is for. */
export interface InboundRoute {
  readonly cluster: string;
  /** Host and port of the service, for names of operations. */
  readonly hostname: string;
  readonly port: number;
  readonly protocol: Protocol;
}

/** Builds the configuration. */
export function inboundRoutes(
  { cluster, hostname, port, protocol }: InboundRoute,
  retries: HttpRetry | undefined,
): RouteConfiguration {
  const retryPolicy = protocol === 'grpc' || protocol === 'grpc-web' ? undefined : retriesOf(retries);
  return create(RouteConfigurationSchema, {
    name: cluster,
    validateClusters: false,
    virtualHosts: [
      {
        name: `inbound|http|${port}`,
        domains: ['*'],
        routes: [
          {
            name: 'default',
            match: { pathSpecifier: { case: 'prefix', value: '/' } },
            decorator: { operation: `${hostname}:${port}/*` },
            action: {
              case: 'route',
              value: {
                clusterSpecifier: { case: 'cluster', value: cluster },
                timeout: seconds(0),
                maxStreamDuration: { maxStreamDuration: seconds(0), grpcTimeoutHeaderMax: seconds(0) },
                ...(retryPolicy === undefined ? {} : { retryPolicy }),
              },
            },
          },
        ],
      },
    ],
  });
}

/** The application may have closed an idle connection just as a request was put on it: nothing was sent yet. */
function retriesOf(retries: HttpRetry | undefined): RetryPolicy | undefined {
  const numRetries = retries === undefined ? 2 : (retries.attempts ?? 0);
  if (numRetries <= 0) return undefined;
  return create(RetryPolicySchema, { retryOn: retries?.retryOn || 'reset-before-request', numRetries });
}

/** The mesh's default for inbound retries. */
export const inboundRetries = query(
  'inbound-retries',
  (read, _key: 'mesh'): HttpRetry | undefined => read(mesh, 'mesh').defaultInboundHttpRetryPolicy,
);
