// Messages that several kinds share: string matches, selectors, target references, locality, TLS and connection settings.
import { anyDuration, noWildcard, portInRange } from './crd-keywords.ts';
import {
  anything,
  choice,
  decimal,
  duration,
  flag,
  int32,
  int64,
  listOf,
  mapOf,
  message,
  text,
  uint32,
  type ValueOf,
} from './field.ts';

export const stringMatch = message(
  'Compares a string in one of three ways; without any, it matches what is present.',
  {
    exact: text('The whole string.'),
    prefix: text('The beginning of the string.'),
    regex: text('A regular expression in RE2 syntax that the whole string must match.'),
  },
  { oneofs: [['exact', 'prefix', 'regex']] },
);
export type StringMatch = ValueOf<typeof stringMatch>;

export const portSelector = message('Names a port of a service.', { number: uint32('The port number.') });
export type PortSelector = ValueOf<typeof portSelector>;

export const percent = message('A percentage.', { value: decimal('From 0.0 to 100.0.') });
export type Percent = ValueOf<typeof percent>;

export const labelsSelector = message('Selects workloads of the networking kinds by their labels.', {
  labels: mapOf(
    text('The value that the label must have.', {
      crd: { maxLength: 63, rules: [noWildcard('wildcard is not supported in selector')] },
    }),
    'Labels that a workload must carry, all of them.',
    { crd: { maxProperties: 256 } },
  ),
});
export type LabelsSelector = ValueOf<typeof labelsSelector>;

export const workloadSelector = message('Selects workloads by their labels.', {
  matchLabels: mapOf(
    text('The value that the label must have.', {
      crd: { maxLength: 63, rules: [noWildcard('wildcard not allowed in label value match')] },
    }),
    'Labels that a workload must carry, all of them.',
    {
      crd: {
        maxProperties: 4096,
        rules: [
          { message: 'wildcard not allowed in label key match', rule: "self.all(key, !key.contains('*'))" },
          { message: 'key must not be empty', rule: 'self.all(key, key.size() != 0)' },
        ],
      },
    },
  ),
});
export type WorkloadSelector = ValueOf<typeof workloadSelector>;

export const targetRef = message(
  'Names the object that a policy is attached to.',
  {
    group: text('API group of the object; empty for the core group.', {
      crd: { maxLength: 253, pattern: '^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$' },
    }),
    kind: text('Kind of the object: Gateway, GatewayClass, Service, ServiceEntry.', {
      crd: { minLength: 1, maxLength: 63, pattern: '^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$' },
    }),
    name: text('Name of the object.', { crd: { minLength: 1, maxLength: 253 } }),
    namespace: text("Namespace of the object; only the policy's own is allowed.", {
      crd: {
        rules: [{ message: 'cross namespace referencing is not currently supported', rule: 'self.size() == 0' }],
      },
    }),
  },
  { crd: { required: ['kind', 'name'] } },
);
export type TargetRef = ValueOf<typeof targetRef>;

export const localityLbSetting = message('How load is spread over regions, zones and sub-zones.', {
  distribute: listOf(
    message('Shares of the load of one origin.', {
      from: text('Origin, `region/zone/sub-zone`, `*` allowed.'),
      to: mapOf(uint32('Share in percent.'), 'Share of each destination locality; the shares add up to 100.'),
    }),
    'Explicit shares; excludes failover.',
  ),
  failover: listOf(
    message('Where load goes when a region is unhealthy.', {
      from: text('Region that load comes from.'),
      to: text('Region that takes over.'),
    }),
    'Region-wise failover; excludes distribute.',
  ),
  failoverPriority: listOf(
    text('A label key, or `key=value`.'),
    'Labels, most important first, by whose equality endpoints are ranked.',
  ),
  enabled: flag('Turns locality load balancing on or off here, over the mesh setting.', { crd: { nullable: true } }),
});
export type LocalityLbSetting = ValueOf<typeof localityLbSetting>;

export const zoneAwareLbSetting = message(
  'Prefers endpoints of the own zone in proportion to the hosts in each zone.',
  {
    enabled: flag('Turns zone-aware load balancing on or off.', { crd: { nullable: true } }),
    failover: listOf(
      message('Where load goes when a region is unhealthy.', {
        from: text('Region that load comes from.'),
        to: text('Region that takes over.'),
      }),
      'Region-wise failover.',
    ),
    failoverPriority: listOf(text('A label key, or `key=value`.'), 'Labels by whose equality endpoints are ranked.'),
    minClusterSize: uint32('Below this number of hosts, zones are not considered.', {
      crd: { minimum: 1, nullable: true },
    }),
  },
);
export type ZoneAwareLbSetting = ValueOf<typeof zoneAwareLbSetting>;

export const clientTlsSettings = message('TLS of connections that the proxy opens.', {
  mode: choice(['DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL'], 'Whether, and how, TLS is used.'),
  clientCertificate: text('File with the client certificate; MUTUAL only.'),
  privateKey: text('File with the private key; MUTUAL only.'),
  caCertificates: text('File with the CA certificates that verify the server.'),
  credentialName: text('Secret with the client certificate and CA; excludes the files.'),
  subjectAltNames: listOf(text('A DNS name or URI.'), 'Names of which the server certificate must carry one.'),
  sni: text('Server name sent in the handshake.'),
  insecureSkipVerify: flag('Skips verification of the server certificate.', { crd: { nullable: true } }),
  caCrl: text('File with a certificate revocation list.'),
});
export type ClientTlsSettings = ValueOf<typeof clientTlsSettings>;

export const tcpKeepalive = message('TCP keepalive probes.', {
  probes: uint32('Unanswered probes after which the connection is dead.'),
  time: duration('Idle time before the first probe.'),
  interval: duration('Time between probes.'),
});
export type TcpKeepalive = ValueOf<typeof tcpKeepalive>;

export const connectionPoolSettings = message('Limits of connections to a service.', {
  tcp: message('Limits for all connections.', {
    maxConnections: int32('Most connections to the service.'),
    connectTimeout: duration('Time that a connection may take to open.'),
    tcpKeepalive,
    maxConnectionDuration: duration('Age at which a connection is closed.'),
    idleTimeout: duration('Time without data after which a TCP connection is closed; 0s is never.', {
      crd: anyDuration,
    }),
  }),
  http: message('Limits for HTTP.', {
    http1MaxPendingRequests: int32('Most requests that wait for a connection.'),
    http2MaxRequests: int32('Most requests under way.'),
    maxRequestsPerConnection: int32('Requests after which a connection is closed; 0 is no limit.'),
    maxRetries: int32('Most retries under way.'),
    idleTimeout: duration('Time without requests after which a connection is closed.'),
    h2UpgradePolicy: choice(['DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE'], 'Whether HTTP/1.1 requests are sent as HTTP/2.'),
    useClientProtocol: flag('Sends requests by the protocol that the client used.'),
    maxConcurrentStreams: int32('Most streams of one HTTP/2 connection.'),
    http2KeepAlive: message('HTTP/2 PING frames that find dead connections.', {
      interval: duration('Time between pings.'),
      timeout: duration('Time that an answer may take.'),
    }),
  }),
});
export type ConnectionPoolSettings = ValueOf<typeof connectionPoolSettings>;

export const outlierDetection = message('When an endpoint is taken out of load balancing for its errors.', {
  consecutiveErrors: int32('Former name of consecutiveGatewayErrors.', { deprecated: true }),
  splitExternalLocalOriginErrors: flag("Counts the proxy's own connection errors apart from the service's."),
  consecutiveLocalOriginFailures: uint32('Local failures in a row that eject.', { crd: { nullable: true } }),
  consecutiveGatewayErrors: uint32('502, 503 or 504 answers in a row that eject; 0 turns it off.', {
    crd: { nullable: true },
  }),
  consecutive5xxErrors: uint32('5xx answers in a row that eject; 0 turns it off.', { crd: { nullable: true } }),
  interval: duration('Time between evaluations.'),
  baseEjectionTime: duration('Time of the first ejection; later ones are multiples of it.'),
  maxEjectionPercent: int32('Largest share of endpoints that may be ejected.'),
  minHealthPercent: int32('Share of healthy endpoints below which detection is off.'),
  outlierDetectionHttpErrorCodes: listOf(
    uint32('An HTTP status.', { crd: { minimum: 100, maximum: 599 } }),
    'Statuses that count as errors.',
  ),
});
export type OutlierDetection = ValueOf<typeof outlierDetection>;

export const proxyImage = message("Which variant of the proxy's image is used.", {
  imageType: text('`default`, `debug`, `distroless`.'),
});
export type ProxyImage = ValueOf<typeof proxyImage>;

export const httpHeader = message('A header by name and value.', {
  name: text('Header name.', { crd: { pattern: '^[-_A-Za-z0-9]+$' } }),
  value: text('Header value.'),
});

const notNegative = { crd: { minimum: 0 } };
const probePort = uint32('Port.', { crd: { rules: [portInRange] } });

export const readinessProbe = message(
  'How the health of an application is found out.',
  {
    initialDelaySeconds: int32('Seconds before the first probe.', notNegative),
    timeoutSeconds: int32('Seconds that a probe may take.', notNegative),
    periodSeconds: int32('Seconds between probes.', notNegative),
    successThreshold: int32('Successes in a row that make it ready.', notNegative),
    failureThreshold: int32('Failures in a row that make it unready.', notNegative),
    httpGet: message(
      'Ready if a GET answers with 2xx or 3xx.',
      {
        path: text('Path; `/` by default.'),
        port: probePort,
        host: text('Host to connect to; the workload itself by default.'),
        scheme: text('`HTTP` or `HTTPS`.', {
          crd: { rules: [{ message: 'scheme must be one of [HTTP, HTTPS]', rule: "self in ['', 'HTTP', 'HTTPS']" }] },
        }),
        httpHeaders: listOf(httpHeader, 'Headers to send.'),
      },
      { crd: { required: ['port'] } },
    ),
    tcpSocket: message(
      'Ready if a connection opens.',
      { host: text('Host to connect to.'), port: probePort },
      { crd: { required: ['port'] } },
    ),
    exec: message(
      'Ready if a command ends with 0.',
      { command: listOf(text('A word of the command.', { crd: { minLength: 1 } }), 'The command, without a shell.') },
      { crd: { required: ['command'] } },
    ),
    grpc: message('Ready if the gRPC health service says so.', {
      port: probePort,
      service: text('Service name of the health request.'),
    }),
  },
  { oneofs: [['httpGet', 'tcpSocket', 'exec', 'grpc']] },
);
export type ReadinessProbe = ValueOf<typeof readinessProbe>;

/** The status of a mesh kind; read leniently, since others write it. */
export const meshStatus = message(
  'What controllers say about the object.',
  {
    conditions: listOf(
      message(
        'One condition.',
        {
          type: text('What is judged.'),
          status: text('`True`, `False` or `Unknown`.'),
          reason: text('One word why.'),
          message: text('A sentence why.'),
          lastTransitionTime: text('When the status last changed.'),
          lastProbeTime: text('When it was last looked at.'),
          observedGeneration: int64('Generation of the object that was judged.'),
        },
        { unknownFields: 'drop' },
      ),
      'Conditions.',
    ),
    observedGeneration: int64('Generation of the object that the status speaks of.'),
    validationMessages: listOf(anything('A message.'), 'Findings of analysis.'),
    addresses: listOf(
      message(
        'An address of the object.',
        { value: text('IP address.'), host: text('Host that the address is for.') },
        { unknownFields: 'drop' },
      ),
      'Addresses given to the hosts of a ServiceEntry.',
    ),
  },
  { unknownFields: 'drop' },
);
export type MeshStatus = ValueOf<typeof meshStatus>;

export const labelSelector = message('A Kubernetes label selector.', {
  matchLabels: mapOf(text('The value that the label must have.'), 'Labels that must be carried, all of them.'),
  matchExpressions: listOf(
    message('One requirement.', {
      key: text('Label key.'),
      operator: text('`In`, `NotIn`, `Exists`, `DoesNotExist`.'),
      values: listOf(text('A value.'), 'Values of In and NotIn.'),
    }),
    'Requirements, all of which must hold.',
  ),
});
export type LabelSelector = ValueOf<typeof labelSelector>;

/** Served versions of the networking and security kinds. */
export const networkingVersions = ['v1', 'v1beta1', 'v1alpha3'] as const;

/** A column with the object's age, which most kinds show. */
export const ageColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'When the object was created.',
} as const;
