// DestinationRule: how traffic to a service behaves after it was routed.
import {
  ageColumn,
  clientTlsSettings,
  connectionPoolSettings,
  localityLbSetting,
  meshStatus,
  networkingVersions,
  outlierDetection,
  portSelector,
  workloadSelector,
  zoneAwareLbSetting,
} from './common.ts';
import { anyDuration } from './crd-keywords.ts';
import {
  choice,
  decimal,
  duration,
  flag,
  listOf,
  mapOf,
  message,
  required,
  text,
  uint32,
  uint64,
  type ValueOf,
} from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

const httpCookie = message(
  'A cookie whose value is hashed; the proxy sets it where it is absent.',
  {
    name: text('Cookie name.'),
    path: text('Path attribute of a cookie that the proxy sets.'),
    ttl: duration('Lifetime of a cookie that the proxy sets; 0s is a session cookie, absent is never set.', {
      crd: anyDuration,
    }),
    attributes: listOf(
      message(
        'An attribute of the cookie.',
        { name: text('Attribute name.'), value: text('Attribute value.') },
        { crd: { required: ['name'] } },
      ),
      'Further attributes of a cookie that the proxy sets.',
    ),
  },
  { crd: { required: ['name'] } },
);

const consistentHash = message(
  'Sends equal requests to the same endpoint as far as endpoints stay.',
  {
    httpHeaderName: text('Header whose value is hashed.'),
    httpCookie,
    useSourceIp: flag("Hashes the client's address."),
    httpQueryParameterName: text('Query parameter whose value is hashed.'),
    ringHash: message('The ring hash algorithm.', {
      minimumRingSize: uint64('Least number of points on the ring; 1024 by default.', { crd: { minimum: 0 } }),
    }),
    maglev: message('The Maglev algorithm.', {
      tableSize: uint64('Size of the table, a prime; 65537 by default.', { crd: { minimum: 0 } }),
    }),
    minimumRingSize: uint64('Former place of ringHash.minimumRingSize.', { deprecated: true, crd: { minimum: 0 } }),
  },
  {
    oneofs: [
      ['httpHeaderName', 'httpCookie', 'useSourceIp', 'httpQueryParameterName'],
      ['ringHash', 'maglev'],
    ],
  },
);
export type ConsistentHash = ValueOf<typeof consistentHash>;

const warmup = message(
  'Lets the share of new endpoints grow slowly.',
  {
    duration: duration('Time until an endpoint gets its full share.'),
    minimumPercent: decimal('Share that an endpoint starts with, in percent; 10 by default.', {
      crd: { minimum: 0, maximum: 100, nullable: true },
    }),
    aggression: decimal('How fast the share grows; 1 is linear, larger is faster.', {
      crd: { minimum: 0, nullable: true },
    }),
  },
  { crd: { required: ['duration'] } },
);

export const loadBalancerSettings = message(
  'How an endpoint is chosen.',
  {
    simple: choice(
      ['UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST'],
      'An algorithm without settings; LEAST_CONN is the former name of LEAST_REQUEST.',
    ),
    consistentHash,
    localityLbSetting,
    zoneAwareLbSetting,
    warmupDurationSecs: duration('Former name of warmup.duration.', { deprecated: true }),
    warmup,
  },
  { oneofs: [['simple', 'consistentHash']] },
);
export type LoadBalancerSettings = ValueOf<typeof loadBalancerSettings>;

const portTrafficPolicy = message('Traffic policy of one port; it replaces that of the service whole.', {
  port: portSelector,
  loadBalancer: loadBalancerSettings,
  connectionPool: connectionPoolSettings,
  outlierDetection,
  tls: clientTlsSettings,
});
export type PortTrafficPolicy = ValueOf<typeof portTrafficPolicy>;

const tunnelSettings = message(
  'Sends TCP traffic through an HTTP tunnel.',
  {
    protocol: text('`CONNECT` (default) or `POST`.'),
    targetHost: text('Host that the tunnel ends at.'),
    targetPort: uint32('Port that the tunnel ends at.'),
  },
  { crd: { required: ['targetHost', 'targetPort'] } },
);
export type TunnelSettings = ValueOf<typeof tunnelSettings>;

const proxyProtocol = message('Sends a PROXY protocol header before the data.', {
  version: choice(['V1', 'V2'], 'Text (V1) or binary (V2) header.'),
});
export type ProxyProtocol = ValueOf<typeof proxyProtocol>;

const retryBudget = message('Limits retries in proportion to the requests under way.', {
  percent: decimal('Retries as a share of requests, in percent; 20 by default.', {
    crd: { minimum: 0, maximum: 100, nullable: true },
  }),
  minRetryConcurrency: uint32('Retries that are always allowed; 3 by default.'),
  budgetInterval: duration('Time over which requests are counted.', { crd: anyDuration }),
});
export type RetryBudget = ValueOf<typeof retryBudget>;

export const trafficPolicy = message('How connections to a service are made.', {
  loadBalancer: loadBalancerSettings,
  connectionPool: connectionPoolSettings,
  outlierDetection,
  tls: clientTlsSettings,
  portLevelSettings: listOf(portTrafficPolicy, 'Policies of single ports.', { crd: { maxItems: 4096 } }),
  tunnel: tunnelSettings,
  proxyProtocol,
  retryBudget,
});
export type TrafficPolicy = ValueOf<typeof trafficPolicy>;

const subset = message('A named part of the endpoints of a service.', {
  name: required(text('Name that routes refer to.')),
  labels: mapOf(text('The value that the label must have.'), 'Labels of the endpoints in the subset.'),
  trafficPolicy,
});
export type Subset = ValueOf<typeof subset>;

export const destinationRule = defineKind({
  kind: 'DestinationRule',
  group: 'networking.istio.io',
  plural: 'destinationrules',
  singular: 'destinationrule',
  shortNames: ['dr'],
  categories: ['istio-io', 'networking-istio-io'],
  versions: networkingVersions,
  scope: 'Namespaced',
  builtin: false,
  printerColumns: [
    { name: 'Host', type: 'string', jsonPath: '.spec.host', description: 'Service that the rule is for.' },
    ageColumn,
  ],
  description: 'How traffic to a service behaves after it was routed: load balancing, pools, outliers, TLS, subsets.',
  body: message(
    'A DestinationRule.',
    {
      spec: required(
        message('Policies for traffic to one host.', {
          host: required(text('Service name; a short name is taken in the namespace of the rule.')),
          trafficPolicy,
          subsets: listOf(subset, 'Named parts of the service.'),
          exportTo: listOf(text('`.`, `*` or a namespace.'), 'Namespaces that see the rule; all when absent.'),
          workloadSelector,
        }),
      ),
      status: meshStatus,
    },
    { crd: { notRequired: ['spec'] } },
  ),
});
export type DestinationRule = ObjectOfDef<typeof destinationRule>;
