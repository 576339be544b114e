// Builds the bootstrap of a plain upstream Envoy (no agent) that is to be a sidecar, gateway or waypoint of the mesh.
import { type BindOptions, type Json, socketAddress } from './bootstrap-address.ts';
import { type DiscoveryOptions, discoveryCluster, dynamicResources } from './bootstrap-discovery.ts';
import { type BootstrapListener, bootstrapListeners } from './bootstrap-listeners.ts';
import { type NodeOptions, nodeOf } from './bootstrap-node.ts';
import { type ApplicationProbe, probeResources } from './bootstrap-probes.ts';

export type { BindOptions, Json } from './bootstrap-address.ts';

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
    dynamic_resources: dynamicResources(options.discovery),
    static_resources: {
      listeners: [...own.listeners, ...(probes?.listeners ?? [])],
      clusters: [...own.clusters, discoveryCluster(options.discovery), ...(probes?.clusters ?? [])],
    },
    stats_config: statsConfig(),
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
