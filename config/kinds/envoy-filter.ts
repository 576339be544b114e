// EnvoyFilter: patches of the Envoy configuration that the mesh generates.
import { labelsSelector, meshStatus, targetRef } from './common.ts';
import { atMostOneOf, portInRange } from './crd-keywords.ts';
import { choice, int32, listOf, mapOf, message, struct, text, uint32, type ValueOf } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

const filterMatch = message('A filter by name.', {
  name: text('Filter name.'),
  subFilter: message('A filter inside of it, an HTTP filter for instance.', { name: text('Filter name.') }),
});

const listenerMatch = message('Listeners, and what is in them.', {
  portNumber: uint32('Port of the service or gateway; unset is any.'),
  portName: text('Not used.'),
  filterChain: message('A filter chain.', {
    name: text('Name of the chain.'),
    sni: text('Server name of its match.'),
    transportProtocol: text('`raw_buffer` or `tls` of its match.'),
    applicationProtocols: text('Protocols of its match, with commas.'),
    filter: filterMatch,
    destinationPort: uint32('Destination port of its match.'),
  }),
  listenerFilter: text('Name of a listener filter.'),
  name: text('Name of the listener.'),
});

const routeConfigurationMatch = message('Route configurations, and what is in them.', {
  portNumber: uint32('Port of the service or gateway; unset is any.'),
  portName: text('Name of a gateway port.'),
  gateway: text('`namespace/name` of a Gateway.'),
  vhost: message('A virtual host.', {
    name: text('Name of the virtual host, `host:port`.'),
    domainName: text('One of its domains.'),
    route: message('A route.', {
      name: text('Name of the route.'),
      action: choice(['ANY', 'ROUTE', 'REDIRECT', 'DIRECT_RESPONSE'], 'What the route does.'),
    }),
  }),
  name: text('Name of the route configuration.'),
});

const clusterMatch = message('Clusters.', {
  portNumber: uint32('Port of the service; unset is any.'),
  service: text('Host of the service, in full.'),
  subset: text('Subset of the service.'),
  name: text('Name of the cluster.'),
});

const waypointMatch = message('What waypoints have.', {
  portNumber: uint32('Port of the service.', { crd: { rules: [portInRange] } }),
  filter: filterMatch,
  route: message('A route.', { name: text('Name of the route.') }),
});

const objectMatch = message(
  'Which generated objects a patch is for.',
  {
    context: choice(
      ['ANY', 'SIDECAR_INBOUND', 'SIDECAR_OUTBOUND', 'GATEWAY', 'WAYPOINT'],
      'Which kind of configuration is meant.',
    ),
    proxy: message('Which proxies are meant.', {
      proxyVersion: text('Regular expression that the version must match.'),
      metadata: mapOf(text('Value.'), 'Node metadata that must be equal.'),
    }),
    listener: listenerMatch,
    routeConfiguration: routeConfigurationMatch,
    cluster: clusterMatch,
    waypoint: waypointMatch,
  },
  {
    oneofs: [['listener', 'routeConfiguration', 'cluster', 'waypoint']],
    crd: {
      rules: [
        {
          message: 'only support waypointMatch when context is WAYPOINT',
          rule:
            "has(self.context) ? ((self.context == 'WAYPOINT') ? has(self.waypoint) : !has(self.waypoint)) : " +
            '!has(self.waypoint)',
        },
      ],
    },
  },
);
export type EnvoyFilterMatch = ValueOf<typeof objectMatch>;

const patch = message('The change.', {
  operation: choice(
    [
      'INVALID',
      'MERGE',
      'ADD',
      'REMOVE',
      'INSERT_BEFORE',
      'INSERT_AFTER',
      'INSERT_FIRST',
      'REPLACE',
      'MERGE_AND_REPLACE_LIST',
    ],
    'How the value is applied.',
  ),
  value: struct("Envoy's configuration as JSON."),
  filterClass: choice(['UNSPECIFIED', 'AUTHN', 'AUTHZ', 'STATS'], 'Where a filter without a place of its own goes.'),
});
export type EnvoyFilterPatch = ValueOf<typeof patch>;

const configPatch = message('One patch.', {
  applyTo: choice(
    [
      'INVALID',
      'LISTENER',
      'FILTER_CHAIN',
      'NETWORK_FILTER',
      'HTTP_FILTER',
      'ROUTE_CONFIGURATION',
      'VIRTUAL_HOST',
      'HTTP_ROUTE',
      'CLUSTER',
      'EXTENSION_CONFIG',
      'BOOTSTRAP',
      'LISTENER_FILTER',
    ],
    'What is patched.',
  ),
  match: objectMatch,
  patch,
});
export type EnvoyFilterConfigPatch = ValueOf<typeof configPatch>;

export const envoyFilter = defineKind({
  kind: 'EnvoyFilter',
  group: 'networking.istio.io',
  plural: 'envoyfilters',
  singular: 'envoyfilter',
  shortNames: [],
  categories: ['istio-io', 'networking-istio-io'],
  versions: ['v1alpha3'],
  scope: 'Namespaced',
  builtin: false,
  printerColumns: [],
  description: 'Changes the generated Envoy configuration where no other kind can.',
  body: message('An EnvoyFilter.', {
    spec: message(
      'Patches for selected workloads or target objects.',
      {
        workloadSelector: labelsSelector,
        targetRefs: listOf(targetRef, 'Objects that the patches are attached to.', { crd: { maxItems: 16 } }),
        configPatches: listOf(configPatch, 'Patches, in order.'),
        priority: int32('Order among patches, lowest first; 0 by default.'),
      },
      {
        crd: {
          rules: [
            atMostOneOf(['workloadSelector', 'targetRefs'], 'only one of targetRefs or workloadSelector can be set'),
          ],
        },
      },
    ),
    status: meshStatus,
  }),
});
export type EnvoyFilter = ObjectOfDef<typeof envoyFilter>;
