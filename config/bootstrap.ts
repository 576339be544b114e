// Builds the bootstrap of a plain upstream Envoy (no agent) that is to be a sidecar, gateway or waypoint of the mesh.
import { type BindOptions, type Json, socketAddress } from './bootstrap-address.ts';
import { type BootstrapListener, bootstrapListeners } from './bootstrap-listeners.ts';
import { type NodeOptions, nodeOf } from './bootstrap-node.ts';
import { type ApplicationProbe, probeResources } from './bootstrap-probes.ts';

export type { BindOptions, Json } from './bootstrap-address.ts';

/** How the proxy reaches the control plane. */
export interface DiscoveryOptions {
  /** `host:port` of the xDS server. */
  readonly address: string;
  /** Absent: plaintext, no identity and therefore no secrets. */
  readonly tls?: {
    /** File with the PEM roots that the server's certificate must chain to. */
    readonly caFile: string;
    /** File with a bearer token; read anew for each stream, so a rotated token is picked up. */
    readonly tokenFile?: string;
    /** The name to verify instead of the host of `address`. */
    readonly serverName?: string;
  };
}

/** All that decides a bootstrap. Several proxies on one machine differ in their bind addresses or ports. */
export interface BootstrapOptions extends NodeOptions {
  readonly discovery: DiscoveryOptions;
  /** Envoy's admin interface; keep it on a loopback address. */
  readonly admin: BindOptions;
  /** Where `/healthz/ready` is answered (15021 in Kubernetes); absent: nowhere. */
  readonly health?: BindOptions;
  /** Where `/stats/prometheus` is answered (15090 in Kubernetes); absent: nowhere. */
  readonly prometheus?: BindOptions;
  /** Where the kubelet's calls for the application are answered (15020 in Kubernetes), and which there are. */
  readonly probes?: { readonly bind: BindOptions; readonly calls: readonly ApplicationProbe[] };
  /** How long the proxy waits for one connection attempt to the control plane. Default 1 s. */
  readonly connectTimeoutSeconds?: number;
  /** How often Envoy hands statistics to sinks. Default: Envoy's 5 s. */
  readonly statsFlushIntervalSeconds?: number;
}

/**
 * The bootstrap as a JSON object for `envoy -c` (envoy.config.bootstrap.v3.Bootstrap), valid for Envoy 1.36 to 1.40
 * without any extension of Istio's build. `concurrency` is a command-line option of Envoy and not in here.
 */
export function buildBootstrap(options: BootstrapOptions): { readonly [key: string]: Json } {
  const own = bootstrapListeners(listenersOf(options), options.admin);
  const probes = options.probes === undefined ? undefined : probeResources(options.probes.calls, options.probes.bind);
  return {
    node: nodeOf(options),
    admin: { address: socketAddress(options.admin) },
    dynamic_resources: dynamicResources(options),
    static_resources: {
      listeners: [...own.listeners, ...(probes?.listeners ?? [])],
      clusters: [...own.clusters, ...xdsClusters(options), ...(probes?.clusters ?? [])],
    },
    stats_config: statsConfig(),
    ...(options.statsFlushIntervalSeconds === undefined
      ? {}
      : { stats_flush_interval: `${options.statsFlushIntervalSeconds}s` }),
    layered_runtime: layeredRuntime(),
    overload_manager: overloadManager(),
    bootstrap_extensions: [
      {
        name: 'envoy.bootstrap.internal_listener',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener',
        },
      },
    ],
  };
}

function listenersOf(options: BootstrapOptions): readonly BootstrapListener[] {
  const health: readonly BootstrapListener[] =
    options.health === undefined
      ? []
      : [{ name: 'health', bind: options.health, path: '/healthz/ready', adminPath: '/ready' }];
  const prometheus: readonly BootstrapListener[] =
    options.prometheus === undefined
      ? []
      : [
          {
            name: 'prometheus',
            bind: options.prometheus,
            path: '/stats/prometheus',
            adminPath: '/stats/prometheus',
          },
        ];
  return [...prometheus, ...health];
}

function dynamicResources(options: BootstrapOptions): { readonly [key: string]: Json } {
  // A zero timeout makes Envoy wait for its first clusters and listeners, so that it never serves half a configuration.
  const ads = { ads: {}, initial_fetch_timeout: '0s', resource_api_version: 'V3' };
  return {
    lds_config: ads,
    cds_config: ads,
    ads_config: {
      api_type: 'DELTA_GRPC',
      transport_api_version: 'V3',
      set_node_on_first_message_only: true,
      grpc_services: [options.discovery.tls === undefined ? envoyGrpc() : googleGrpc(options.discovery)],
    },
  };
}

function envoyGrpc(): { readonly [key: string]: Json } {
  return { envoy_grpc: { cluster_name: 'xds-grpc' } };
}

// Only Envoy's Google gRPC client can read its token from a file at each stream.
function googleGrpc(discovery: DiscoveryOptions): { readonly [key: string]: Json } {
  const factory = 'envoy.grpc_credentials.file_based_metadata';
  const token = discovery.tls?.tokenFile;
  const serverName = discovery.tls?.serverName;
  const credentials =
    token === undefined
      ? {}
      : {
          credentials_factory_name: factory,
          call_credentials: [
            {
              from_plugin: {
                name: factory,
                typed_config: {
                  '@type': 'type.googleapis.com/envoy.config.grpc_credential.v3.FileBasedMetadataConfig',
                  secret_data: { filename: token },
                  header_key: 'authorization',
                  header_prefix: 'Bearer ',
                },
              },
            },
          ],
        };
  return {
    google_grpc: {
      target_uri: discovery.address,
      stat_prefix: 'xds-grpc',
      channel_credentials: { ssl_credentials: { root_certs: { filename: discovery.tls?.caFile ?? '' } } },
      ...credentials,
      channel_args: {
        args: {
          // The client refuses messages above 4 MiB unless told otherwise; a first push can be larger.
          'grpc.max_receive_message_length': { int_value: -1 },
          // Else each connection waits for a TXT record of the control plane's name, which no cluster has.
          'grpc.service_config_disable_resolution': { int_value: 1 },
          'grpc.keepalive_time_ms': { int_value: 30_000 },
          'grpc.keepalive_timeout_ms': { int_value: 10_000 },
          ...(serverName === undefined ? {} : { 'grpc.ssl_target_name_override': { string_value: serverName } }),
        },
      },
    },
  };
}

function xdsClusters(options: BootstrapOptions): readonly Json[] {
  if (options.discovery.tls !== undefined) return [];
  const { host, port } = splitHostPort(options.discovery.address);
  return [
    {
      name: 'xds-grpc',
      type: 'STRICT_DNS',
      connect_timeout: `${options.connectTimeoutSeconds ?? 1}s`,
      typed_extension_protocol_options: {
        'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
          '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
          explicit_http_config: {
            http2_protocol_options: { connection_keepalive: { interval: '30s', timeout: '10s' } },
          },
        },
      },
      load_assignment: {
        cluster_name: 'xds-grpc',
        endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress({ address: host, port }) } }] }],
      },
    },
  ];
}

/** Splits `host:port` or `[v6]:port`; a missing port is 15010. */
function splitHostPort(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':');
  const bracket = address.lastIndexOf(']');
  if (at < 0 || at < bracket) return { host: address.replace(/^\[|\]$/g, ''), port: 15010 };
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) };
}

/**
 * Cluster and listener statistics end their variable part in `;` (`cluster.outbound|80||a.b;.upstream_rq`), because
 * host names contain dots. Each tag takes such a part out of the statistic's name. The set of tags is Istio's, so that
 * dashboards over Envoy's own statistics work for both.
 */
function statsConfig(): { readonly [key: string]: Json } {
  const tags: readonly (readonly [string, string])[] = [
    ['cluster_name', '^cluster\\.((.+?);\\.)'],
    ['tcp_prefix', '^tcp\\.((.+?);?\\.)\\w+?$'],
    ['http_conn_manager_prefix', '^http\\.((.+?);\\.)'],
    ['listener_address', '^listener\\.((.+?);\\.)'],
    ['virtual_host', '^vhost\\.((.+?)\\.)(?:vcluster|route)\\.'],
    ['route', '\\.route\\.((.+?)\\.)\\w+?$'],
    ['mongo_prefix', '^mongo\\.((.+?)\\.)(?:collection|cmd|cx_|op_|delays_|decoding_)'],
    ['response_code', '_rq(_(\\d{3}))$'],
    ['response_code_class', '_rq(_(\\dxx))$'],
    ['ssl_version', '\\.ssl\\.versions(\\.(TLSv\\d(?:\\.\\d)?))$'],
    ['ssl_cipher', '\\.ssl\\.ciphers(\\.(.+?))$'],
    ['ssl_curve', '\\.ssl\\.curves(\\.(.+?))$'],
  ];
  return {
    use_all_default_tags: false,
    stats_tags: tags.map(([tag_name, regex]) => ({ tag_name, regex })),
  };
}

function layeredRuntime(): { readonly [key: string]: Json } {
  return {
    layers: [
      // Users' regular expressions are RE2 programs; Envoy's default limit of 100 instructions refuses harmless ones.
      { name: 'mesh', static_layer: { 're2.max_program_size.error_level': 32_768 } },
      { name: 'admin', admin_layer: {} },
    ],
  };
}

function overloadManager(): { readonly [key: string]: Json } {
  return {
    resource_monitors: [
      {
        name: 'envoy.resource_monitors.global_downstream_max_connections',
        typed_config: {
          '@type':
            'type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig',
          max_active_downstream_connections: 2_147_483_647,
        },
      },
    ],
  };
}
