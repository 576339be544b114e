// How a plain Envoy answers the kubelet for the application: the kubelet has no certificate, and there is no agent.
import { type BindOptions, type Json, socketAddress } from './bootstrap-address.ts';
import { compareText } from './object.ts';

/** One call of the kubelet, and what it stands for; the application listens on the loopback address. */
export interface ApplicationProbe {
  /** Path that the kubelet calls. */
  readonly path: string;
  readonly port: number;
  readonly timeoutSeconds: number;
  readonly call: /** The same request with another path; `tls` without verification, as the kubelet itself does it. */
    | { readonly kind: 'http'; readonly path: string; readonly tls: boolean }
    /** Whether the port accepts connections. */
    | { readonly kind: 'tcp' }
    /** grpc.health.v1.Health/Check. */
    | { readonly kind: 'grpc'; readonly service: string };
}

type JsonObject = { readonly [key: string]: Json };

const types = 'type.googleapis.com/envoy.extensions';

/** The listener for probes and the clusters behind it; nothing where there are no probes. */
export function probeResources(
  probes: readonly ApplicationProbe[],
  bind: BindOptions,
): { readonly listeners: readonly Json[]; readonly clusters: readonly Json[] } {
  if (probes.length === 0) return { listeners: [], clusters: [] };
  const sorted = [...probes].sort((a, b) => compareText(a.path, b.path));
  const clusters = new Map(sorted.map((probe) => [clusterName(probe), clusterOf(probe)]));
  return { listeners: [listenerOf(sorted, bind)], clusters: [...clusters.values()] };
}

function clusterName({ port, path, call }: ApplicationProbe): string {
  return call.kind === 'http' ? `probe|${call.tls ? 'https' : 'http'}|${port}` : `probe|${path}`;
}

function listenerOf(probes: readonly ApplicationProbe[], bind: BindOptions): JsonObject {
  return {
    name: 'probes',
    address: socketAddress(bind),
    ignore_global_conn_limit: true,
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type': `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
              codec_type: 'AUTO',
              stat_prefix: 'probes',
              route_config: { virtual_hosts: [{ name: 'probes', domains: ['*'], routes: probes.flatMap(routeOf) }] },
              http_filters: [
                ...probes.flatMap(healthFilterOf),
                {
                  name: 'envoy.filters.http.router',
                  typed_config: { '@type': `${types}.filters.http.router.v3.Router` },
                },
              ],
            },
          },
        ],
      },
    ],
  };
}

function routeOf(probe: ApplicationProbe): readonly Json[] {
  if (probe.call.kind !== 'http') return [];
  return [
    {
      match: { path: probe.path },
      route: {
        cluster: clusterName(probe),
        prefix_rewrite: probe.call.path,
        timeout: `${probe.timeoutSeconds}s`,
      },
    },
  ];
}

// Envoy checks ports and gRPC services by itself and answers from the state of the cluster.
function healthFilterOf(probe: ApplicationProbe): readonly Json[] {
  if (probe.call.kind === 'http') return [];
  return [
    {
      name: 'envoy.filters.http.health_check',
      typed_config: {
        '@type': `${types}.filters.http.health_check.v3.HealthCheck`,
        pass_through_mode: false,
        cluster_min_healthy_percentages: { [clusterName(probe)]: { value: 100 } },
        headers: [{ name: ':path', string_match: { exact: probe.path } }],
      },
    },
  ];
}

function clusterOf(probe: ApplicationProbe): JsonObject {
  const name = clusterName(probe);
  const address = socketAddress({ address: '127.0.0.1', port: probe.port });
  return {
    name,
    type: 'STATIC',
    connect_timeout: `${probe.timeoutSeconds}s`,
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
    ...transportOf(probe),
    ...healthChecksOf(probe),
  };
}

function transportOf({ call }: ApplicationProbe): JsonObject {
  if (call.kind === 'http' && call.tls) {
    const context = { '@type': `${types}.transport_sockets.tls.v3.UpstreamTlsContext` };
    return { transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: context } };
  }
  if (call.kind !== 'grpc') return {};
  const options = `${types}.upstreams.http.v3.HttpProtocolOptions`;
  return {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': options,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
}

function healthChecksOf({ call, timeoutSeconds }: ApplicationProbe): JsonObject {
  if (call.kind === 'http') return {};
  const check: JsonObject =
    call.kind === 'tcp'
      ? { tcp_health_check: {} }
      : { grpc_health_check: call.service === '' ? {} : { service_name: call.service } };
  return {
    health_checks: [
      {
        timeout: `${timeoutSeconds}s`,
        interval: '2s',
        no_traffic_interval: '2s',
        unhealthy_interval: '1s',
        unhealthy_threshold: 1,
        healthy_threshold: 1,
        ...check,
      },
    ],
  };
}
