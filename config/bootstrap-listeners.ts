// The listeners that a bootstrap itself brings (health, Prometheus) and the cluster behind them: Envoy's own admin.
import { type BindOptions, type Json, socketAddress } from './bootstrap-address.ts';

/** One path of Envoy's admin interface, shown to others on a port of its own. */
export interface BootstrapListener {
  readonly name: string;
  readonly bind: BindOptions;
  /** The only path that is answered; all others get 404. */
  readonly path: string;
  /** The admin path it stands for. */
  readonly adminPath: string;
}

type JsonObject = { readonly [key: string]: Json };

/** Listeners, and the clusters they need (none without listeners). */
export function bootstrapListeners(
  listeners: readonly BootstrapListener[],
  admin: BindOptions,
): { readonly listeners: readonly Json[]; readonly clusters: readonly Json[] } {
  if (listeners.length === 0) return { listeners: [], clusters: [] };
  return { listeners: listeners.map(listenerOf), clusters: [adminCluster(admin)] };
}

function listenerOf(listener: BootstrapListener): JsonObject {
  return {
    name: listener.name,
    address: socketAddress(listener.bind),
    ignore_global_conn_limit: true,
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: connectionManager(listener),
          },
        ],
      },
    ],
  };
}

function connectionManager(listener: BootstrapListener): JsonObject {
  return {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    codec_type: 'AUTO',
    stat_prefix: listener.name,
    route_config: {
      virtual_hosts: [
        {
          name: 'backend',
          domains: ['*'],
          routes: [
            {
              match: { path: listener.path },
              route: { cluster: 'admin', prefix_rewrite: listener.adminPath },
            },
          ],
        },
      ],
    },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
  };
}

function adminCluster(admin: BindOptions): JsonObject {
  return {
    name: 'admin',
    type: 'STATIC',
    connect_timeout: '0.25s',
    load_assignment: {
      cluster_name: 'admin',
      endpoints: [
        {
          lb_endpoints: [
            {
              endpoint: { address: socketAddress(admin) },
            },
          ],
        },
      ],
    },
  };
}
