// Connection pools of clusters: circuit breakers, timeouts, keepalive, and the HTTP protocol spoken to the server.
import { create } from '@bufbuild/protobuf';
import type { ConnectionPoolSettings, TcpKeepalive } from '../../../config/kinds/common.ts';
import type { RetryBudget } from '../../../config/kinds/destination-rule.ts';
import type { MeshConfig } from '../../../config/mesh.ts';
import {
  type CircuitBreakers,
  CircuitBreakersSchema,
} from '../../../protos/gen/envoy/config/cluster/v3/circuit_breaker_pb.js';
import {
  type Cluster,
  UpstreamConnectionOptionsSchema,
} from '../../../protos/gen/envoy/config/cluster/v3/cluster_pb.js';
import { TcpKeepaliveSchema } from '../../../protos/gen/envoy/config/core/v3/address_pb.js';
import {
  HttpProtocolOptionsSchema as CommonOptionsSchema,
  UpstreamHttpProtocolOptionsSchema,
} from '../../../protos/gen/envoy/config/core/v3/protocol_pb.js';
import {
  type HttpProtocolOptions,
  HttpProtocolOptions_ExplicitHttpConfigSchema,
  HttpProtocolOptions_UseDownstreamHttpConfigSchema,
  HttpProtocolOptionsSchema,
} from '../../../protos/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
import { isHttp, isHttp2 } from '../../model/protocol.ts';
import type { Protocol } from '../../model/service.ts';
import { packed, wireDuration } from './wire.ts';

/** Which HTTP a cluster speaks: HTTP/1.1 unless said, HTTP/2, or what its client speaks. */
export type UpstreamHttp = 'http1' | 'http2' | 'downstream';

/** A pool's settings, with what has to be known to write them down. */
export interface PoolInput {
  readonly pool: ConnectionPoolSettings | undefined;
  readonly retryBudget: RetryBudget | undefined;
  readonly mesh: MeshConfig;
  readonly http: UpstreamHttp;
  /** Takes server name and expected SAN from the request, where TLS settings name neither. */
  readonly autoSni: boolean;
  readonly autoSanValidation: boolean;
}

const unlimited = 0xffff_ffff;

/** Limits as good as none: Envoy's own defaults of 1,024 would cut busy services off. */
export function circuitBreakers(pool?: ConnectionPoolSettings, retryBudget?: RetryBudget): CircuitBreakers {
  const limit = (value: number | undefined): number => (value !== undefined && value > 0 ? value : unlimited);
  return create(CircuitBreakersSchema, {
    thresholds: [
      {
        maxConnections: limit(pool?.tcp?.maxConnections),
        maxPendingRequests: limit(pool?.http?.http1MaxPendingRequests),
        maxRequests: limit(pool?.http?.http2MaxRequests),
        maxRetries: limit(pool?.http?.maxRetries),
        ...(retryBudget === undefined ? {} : { retryBudget: budgetOf(retryBudget) }),
      },
    ],
  });
}

function budgetOf(budget: RetryBudget) {
  return {
    budgetPercent: { value: budget.percent ?? 20 },
    ...(budget.minRetryConcurrency === undefined ? {} : { minRetryConcurrency: budget.minRetryConcurrency }),
  };
}

/** The protocol to a port: h2 where it is certain, the client's where a sidecar would have to guess. */
export function upstreamHttp(protocol: Protocol, sidecar: boolean): UpstreamHttp {
  if (isHttp2(protocol)) return 'http2';
  return protocol === 'auto' && sidecar ? 'downstream' : 'http1';
}

/** The protocol after upgrades: useClientProtocol wins, then the pool's policy, then the mesh's for HTTP/1.1 ports. */
export function upgradedHttp(
  base: UpstreamHttp,
  protocol: Protocol,
  pool: ConnectionPoolSettings | undefined,
  mesh: MeshConfig,
): UpstreamHttp {
  if (pool?.http?.useClientProtocol) return 'downstream';
  const policy = pool?.http?.h2UpgradePolicy;
  if (policy === 'UPGRADE') return 'http2';
  if (policy === 'DO_NOT_UPGRADE' || !isHttp(protocol)) return base;
  return mesh.h2UpgradePolicy === 'UPGRADE' ? 'http2' : base;
}

/** Writes a pool's settings into a cluster. */
export function applyPool(cluster: Cluster, input: PoolInput): void {
  const { pool, mesh } = input;
  cluster.circuitBreakers = circuitBreakers(pool, input.retryBudget);
  const timeout = wireDuration(pool?.tcp?.connectTimeout);
  if (timeout !== undefined) cluster.connectTimeout = timeout;
  const keepalive = pool?.tcp?.tcpKeepalive ?? mesh.tcpKeepalive;
  if (keepalive !== undefined) {
    cluster.upstreamConnectionOptions = create(UpstreamConnectionOptionsSchema, {
      tcpKeepalive: keepaliveOf(keepalive),
    });
  }
  const options = httpOptions(input);
  if (options !== undefined) setHttpOptions(cluster, options);
}

/** Attaches HTTP options to a cluster. */
export function setHttpOptions(cluster: Cluster, options: HttpProtocolOptions): void {
  cluster.typedExtensionProtocolOptions = {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': packed(HttpProtocolOptionsSchema, options),
  };
}

/** HTTP options that follow the client's protocol, as pass-through clusters have them. */
export function downstreamOptions(idleTimeout: string): HttpProtocolOptions {
  const options = create(HttpProtocolOptionsSchema);
  options.commonHttpProtocolOptions = create(CommonOptionsSchema);
  const idle = wireDuration(idleTimeout);
  if (idle !== undefined) options.commonHttpProtocolOptions.idleTimeout = idle;
  setProtocol(options, 'downstream', undefined);
  return options;
}

/** A cluster without anything special has no options at all. */
function httpOptions(input: PoolInput): HttpProtocolOptions | undefined {
  const { pool, http } = input;
  const common = create(CommonOptionsSchema);
  const idle = wireDuration(pool?.http?.idleTimeout ?? pool?.tcp?.idleTimeout);
  const longest = wireDuration(pool?.tcp?.maxConnectionDuration);
  const requests = pool?.http?.maxRequestsPerConnection ?? 0;
  const streams = pool?.http?.maxConcurrentStreams ?? 0;
  if (idle !== undefined) common.idleTimeout = idle;
  if (longest !== undefined) common.maxConnectionDuration = longest;
  if (requests > 0) common.maxRequestsPerConnection = requests;
  const limited = idle !== undefined || longest !== undefined || requests > 0;
  const automatic = input.autoSni || input.autoSanValidation;
  const keepAlive = http === 'http1' ? undefined : pool?.http?.http2KeepAlive;
  if (!limited && !automatic && http === 'http1') return undefined;
  const options = create(HttpProtocolOptionsSchema);
  if (limited) options.commonHttpProtocolOptions = common;
  if (automatic) {
    options.upstreamHttpProtocolOptions = create(UpstreamHttpProtocolOptionsSchema, {
      autoSni: input.autoSni,
      autoSanValidation: input.autoSanValidation,
    });
  }
  setProtocol(options, http, { streams, keepAlive });
  return options;
}

interface Http2Settings {
  readonly streams: number;
  readonly keepAlive: { readonly interval?: string; readonly timeout?: string } | undefined;
}

function setProtocol(options: HttpProtocolOptions, http: UpstreamHttp, settings: Http2Settings | undefined): void {
  if (http === 'http1') {
    const value = create(HttpProtocolOptions_ExplicitHttpConfigSchema, {
      protocolConfig: { case: 'httpProtocolOptions', value: {} },
    });
    options.upstreamProtocolOptions = { case: 'explicitHttpConfig', value };
  } else if (http === 'http2') {
    const value = create(HttpProtocolOptions_ExplicitHttpConfigSchema, {
      protocolConfig: { case: 'http2ProtocolOptions', value: http2Of(settings) },
    });
    options.upstreamProtocolOptions = { case: 'explicitHttpConfig', value };
  } else {
    const value = create(HttpProtocolOptions_UseDownstreamHttpConfigSchema, {
      httpProtocolOptions: {},
      http2ProtocolOptions: http2Of(settings),
    });
    options.upstreamProtocolOptions = { case: 'useDownstreamProtocolConfig', value };
  }
}

function http2Of(settings: Http2Settings | undefined) {
  const interval = wireDuration(settings?.keepAlive?.interval);
  const timeout = wireDuration(settings?.keepAlive?.timeout);
  const ping = {
    ...(interval === undefined ? {} : { interval }),
    ...(timeout === undefined ? {} : { timeout }),
  };
  return {
    ...((settings?.streams ?? 0) > 0 ? { maxConcurrentStreams: settings?.streams as number } : {}),
    ...(settings?.keepAlive === undefined ? {} : { connectionKeepalive: ping }),
  };
}

function keepaliveOf(keepalive: TcpKeepalive) {
  const time = wireDuration(keepalive.time);
  const interval = wireDuration(keepalive.interval);
  return create(TcpKeepaliveSchema, {
    ...(keepalive.probes === undefined ? {} : { keepaliveProbes: keepalive.probes }),
    ...(time === undefined ? {} : { keepaliveTime: Number(time.seconds) }),
    ...(interval === undefined ? {} : { keepaliveInterval: Number(interval.seconds) }),
  });
}
