// Every setting of `meltemi discovery` with its flag, its environment variable, its default and its meaning, once.
import {
  accountList,
  address,
  anyText,
  bool,
  decimal,
  duration,
  integer,
  interval,
  list,
  logLevel,
  name,
  namespaceList,
  namespaceName,
  objectName,
  oneOf,
  optionalLabel,
  type ValueType,
} from './setting-values.ts';

/** Where a setting comes from: the flag counts before the environment variable, and that before the default. */
export interface Setting<T> {
  readonly type: ValueType<T>;
  /** As commander takes it: `--grpcAddr <address>`. */
  readonly flag?: string;
  readonly env?: string;
  /** The text that counts where neither is given; without one the setting is then undefined. */
  readonly default?: string;
  /** One sentence for the documentation and `--help`. */
  readonly means: string;
}

/** Largest number of bytes and of streams that a setting may ask for. */
const most = 2 ** 31 - 1;

/** The settings by their name in `Settings`; names and defaults of flags and variables are istiod's. */
export const settingsTable = {
  configDir: { type: name, flag: '--configDir <dir>', means: 'Folder of YAML to watch instead of Kubernetes.' },
  kubeconfig: { type: name, flag: '--kubeconfig <file>', means: 'How to reach Kubernetes from outside.' },
  meshConfigFile: {
    type: name,
    flag: '--meshConfig <file>',
    default: './etc/istio/config/mesh',
    means: 'Mesh configuration that takes the place of the ConfigMap, where the file is there at the start.',
  },
  networksConfigFile: {
    type: name,
    flag: '--networksConfig <file>',
    default: './etc/istio/config/meshNetworks',
    means: 'Mesh networks that go with `--meshConfig`.',
  },
  sharedMeshConfig: {
    type: objectName,
    env: 'SHARED_MESH_CONFIG',
    means: 'Name of a ConfigMap of the same form, over which the mesh configuration is laid.',
  },
  grpcAddr: {
    type: address,
    flag: '--grpcAddr <address>',
    default: ':15010',
    means: 'xDS in plaintext, without identities; empty: on the port of `--httpAddr`.',
  },
  secureGrpcAddr: {
    type: address,
    flag: '--secureGRPCAddr <address>',
    default: ':15012',
    means: 'xDS and certificates over TLS; empty: closed.',
  },
  httpAddr: { type: address, flag: '--httpAddr <address>', default: ':8080', means: '`/ready` and `/debug`.' },
  httpsAddr: {
    type: address,
    flag: '--httpsAddr <address>',
    default: ':15017',
    means: 'Webhooks; empty: on the port of `--httpAddr`, for a gateway in front that ends TLS.',
  },
  monitoringAddr: {
    type: address,
    flag: '--monitoringAddr <address>',
    default: ':15014',
    means: '`/metrics`, `/version` and `/debug`; empty: on the port of `--httpAddr` only.',
  },
  domain: { type: name, flag: '--domain <domain>', default: 'cluster.local', means: 'DNS domain of services.' },
  clusterId: {
    type: name,
    flag: '--clusterID <id>',
    env: 'CLUSTER_ID',
    default: 'Kubernetes',
    means: 'Id of this cluster.',
  },
  systemNamespace: {
    type: namespaceName,
    flag: '-n, --namespace <namespace>',
    env: 'POD_NAMESPACE',
    default: 'istio-system',
    means: 'Namespace of the control plane.',
  },
  revision: {
    type: optionalLabel,
    flag: '--revision <revision>',
    env: 'REVISION',
    default: '',
    means:
      'Revision of the control plane: it suffixes ConfigMaps, webhooks and Leases unless it is `default`, and mesh objects with another in label `istio.io/rev` are not read; empty: all are.',
  },
  podName: { type: name, env: 'POD_NAME', default: 'meltemi', means: 'Name by which this replica is known.' },
  shutdownMs: {
    type: duration,
    flag: '--shutdownDuration <duration>',
    default: '10s',
    means: 'How long calls may take to end.',
  },
  logLevel: {
    type: logLevel,
    flag: '--log_output_level <level>',
    default: 'info',
    means: 'debug, info, warn, error or none; of `scope:level,…` the default scope counts.',
  },
  stateDir: {
    type: name,
    flag: '--stateDir <dir>',
    default: './.meltemi',
    means: 'Where file mode keeps its CA and the key of its tokens.',
  },
  maxConnectionAgeMs: {
    type: duration,
    flag: '--keepaliveMaxServerConnectionAge <duration>',
    default: '30m',
    means: 'Age at which connections are asked to come again.',
  },
  keepaliveMs: {
    type: duration,
    flag: '--keepaliveInterval <duration>',
    env: 'GRPC_KEEPALIVE_INTERVAL',
    default: '30s',
    means: 'Silence after which a connection is asked whether it lives.',
  },
  keepaliveTimeoutMs: {
    type: duration,
    flag: '--keepaliveTimeout <duration>',
    env: 'GRPC_KEEPALIVE_TIMEOUT',
    default: '10s',
    means: 'How long it may take to answer.',
  },
  maxRequestBytes: {
    type: integer(1024, most),
    env: 'ISTIO_GPRC_MAXRECVMSGSIZE',
    default: String(64 * 1024 * 1024),
    means: 'Largest request over gRPC, in bytes (istiod: 4 MiB, too little for clients that reconnect with much).',
  },
  maxStreams: {
    type: integer(1, most),
    env: 'ISTIO_GPRC_MAXSTREAMS',
    default: '100000',
    means: 'Streams that may be open at once.',
  },
  maxStreamRate: {
    type: decimal(0, 1_000_000),
    env: 'PILOT_MAX_REQUESTS_PER_SECOND',
    default: '0',
    means: 'Streams let in a second at most; 0: up to 500, fewer while the process is busy.',
  },
  coldStart: {
    type: anyText,
    env: 'K_REVISION',
    default: '',
    means:
      'Set by Knative: the first stream is then refused, because it would count as the warm-up for its whole life.',
  },
  tlsCertFile: {
    type: name,
    flag: '--tlsCertFile <file>',
    means: "The control plane's own certificate, in place of one by its CA; needs the next two.",
  },
  tlsKeyFile: { type: name, flag: '--tlsKeyFile <file>', means: 'The key of that certificate.' },
  caCertFile: {
    type: name,
    flag: '--caCertFile <file>',
    means: 'The roots by which that certificate is to be checked; they are given to pods and webhooks.',
  },
  certProvider: {
    type: {
      ...oneOf('istiod', 'none'),
      name: 'istiod or none (certificates signed by Kubernetes, `kubernetes` and `k8s.io/…`, are not supported)',
    },
    env: 'PILOT_CERT_PROVIDER',
    default: 'istiod',
    means:
      "Who makes the control plane's own certificate where no file holds one; `none`: nobody, TLS ports are closed.",
  },
  customHosts: {
    type: list,
    env: 'ISTIOD_CUSTOM_HOST',
    default: '',
    means: "Further names in the control plane's certificate.",
  },
  caServer: {
    type: bool,
    env: 'ENABLE_CA_SERVER',
    default: 'true',
    means: 'Whether workloads get certificates here; without, there is no CA and its Secret is left alone.',
  },
  externalCa: {
    type: anyText,
    env: 'EXTERNAL_CA',
    default: '',
    means: 'Must be empty where there is a CA server: signing by another CA is not supported.',
  },
  rootCaDir: {
    type: name,
    env: 'ROOT_CA_DIR',
    default: './etc/cacerts',
    means: "The operator's own CA, used where the folder holds one.",
  },
  caCrl: {
    type: bool,
    env: 'PILOT_ENABLE_CA_CRL',
    default: 'true',
    means: "Whether the revocation lists in file `ca-crl.pem` of the operator's own CA are handed out.",
  },
  cacertsSecret: {
    type: bool,
    env: 'USE_CACERTS_FOR_SELF_SIGNED_CA',
    default: 'false',
    means:
      'Keep the self-signed CA in Secret `cacerts` (with key `istio-generated`) where there is no `istio-ca-secret`.',
  },
  rootLifetimeMs: {
    type: duration,
    env: 'CITADEL_SELF_SIGNED_CA_CERT_TTL',
    default: '87600h',
    means: 'Lifetime of the self-signed root.',
  },
  rootCheckMs: {
    type: interval,
    env: 'CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL',
    default: '1h',
    means: 'How often the self-signed root is looked at, at least each minute; 0 or less: it is never renewed.',
  },
  rootGracePercent: {
    type: integer(1, 99),
    env: 'CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE',
    default: '20',
    means: 'The self-signed root is renewed when less than this share of its life is left.',
  },
  rootRsaBits: {
    type: oneOf('2048', '3072', '4096'),
    env: 'CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE',
    means: 'Makes a new self-signed root with an RSA key of that size; unset: with an elliptic-curve key (P-256).',
  },
  rootConfigMap: {
    type: objectName,
    env: 'PILOT_CA_CERT_CONFIGMAP',
    default: 'istio-ca-root-cert',
    means: 'Name of the ConfigMap with the roots that is kept in every namespace.',
  },
  crlConfigMap: {
    type: objectName,
    env: 'PILOT_CRL_CONFIGMAP',
    default: 'istio-ca-crl',
    means: 'Name of the ConfigMap with the revocation lists that is then kept in every namespace.',
  },
  defaultWorkloadCertTtlMs: {
    type: duration,
    env: 'DEFAULT_WORKLOAD_CERT_TTL',
    default: '24h',
    means: 'Lifetime of certificates whose caller names none.',
  },
  maxWorkloadCertTtlMs: {
    type: duration,
    env: 'MAX_WORKLOAD_CERT_TTL',
    default: '2160h',
    means: 'Longest lifetime that a caller may ask for.',
  },
  agentlessCertTtlMs: {
    type: duration,
    env: 'AGENTLESS_CERT_TTL',
    means: 'Lifetime of the certificates that plain Envoys get; unset: `DEFAULT_WORKLOAD_CERT_TTL`. Not of istiod.',
  },
  rotationStepMs: {
    type: duration,
    env: 'ROOT_ROTATION_STEP',
    means:
      'How long a step of a rotation of the root lasts at least; unset: 5m in a cluster, 2s for a folder. Not of istiod.',
  },
  leaseMs: {
    type: duration,
    env: 'LEASE_DURATION',
    default: '30s',
    means: 'How long a replica that is not heard of is taken to be there, or to lead. Not of istiod.',
  },
  tokenAudiences: {
    type: list,
    env: 'TOKEN_AUDIENCES',
    default: 'istio-ca',
    means: 'Audiences of which a token must name one.',
  },
  tokenIssuer: {
    type: anyText,
    env: 'TOKEN_ISSUER',
    default: '',
    means: 'Outside of a cluster: an OpenID issuer whose tokens authenticate workloads.',
  },
  kubernetesHost: {
    type: anyText,
    env: 'KUBERNETES_SERVICE_HOST',
    default: '',
    means: 'Set by Kubernetes in each pod: the API server, unless `--kubeconfig` names one.',
  },
  tokenIssuerAudience: {
    type: anyText,
    env: 'AUDIENCE',
    default: '',
    means: 'The audience of those tokens; empty: `TOKEN_AUDIENCES`.',
  },
  jwtRule: {
    type: anyText,
    env: 'JWT_RULE',
    default: '',
    means: 'JSON of a JWTRule: an issuer whose tokens authenticate workloads.',
  },
  trustedNodeAccounts: {
    type: accountList,
    env: 'CA_TRUSTED_NODE_ACCOUNTS',
    default: '',
    means: 'Service accounts (`namespace/name`, with commas) that get certificates for the pods of their node.',
  },
  trustedGatewayCidr: {
    type: anyText,
    env: 'TRUSTED_GATEWAY_CIDR',
    default: '',
    means: "CIDRs of gateways that may name their client's certificate.",
  },
  xdsAuth: { type: bool, env: 'XDS_AUTH', default: 'true', means: 'Whether xDS over TLS needs an identity.' },
  xdsIdentityCheck: {
    type: bool,
    env: 'PILOT_ENABLE_XDS_IDENTITY_CHECK',
    default: 'true',
    means: "Whether it must fit the proxy's namespace and service account; without the check nobody gets secrets.",
  },
  leaderElection: {
    type: bool,
    env: 'ENABLE_LEADER_ELECTION',
    default: 'true',
    means: 'Whether replicas agree by Leases on who writes to the cluster; without, this one writes.',
  },
  entryAddresses: {
    type: bool,
    env: 'PILOT_ENABLE_IP_AUTOALLOCATE',
    default: 'true',
    means:
      'Whether automatic addresses of ServiceEntries are written into their status; proxies have them in any case.',
  },
  debugEndpoints: { type: bool, env: 'ENABLE_DEBUG_ON_HTTP', default: 'true', means: 'Whether there is `/debug`.' },
  debugAuth: {
    type: bool,
    env: 'ENABLE_DEBUG_ENDPOINT_AUTH',
    default: 'true',
    means: 'Whether debug pages need an identity, except from this machine; without, anybody sees everything.',
  },
  debugNamespaces: {
    type: namespaceList,
    env: 'DEBUG_ENDPOINT_AUTH_ALLOWED_NAMESPACES',
    default: '',
    means: 'Namespaces whose workloads may see every debug page, besides the system namespace.',
  },
  injectionWebhook: {
    type: anyText,
    env: 'INJECTION_WEBHOOK_CONFIG_NAME',
    default: 'istio-sidecar-injector',
    means: 'Empty: injection webhooks are not patched with our roots. Those of our revision are found by label.',
  },
  validationWebhook: {
    type: anyText,
    env: 'VALIDATION_WEBHOOK_CONFIG_NAME',
    default: 'istio-istio-system',
    means: 'Empty: validation webhooks are not patched. Those of our revision are found by label.',
  },
  nativeSidecars: {
    type: oneOf('auto', 'true', 'false'),
    env: 'ENABLE_NATIVE_SIDECARS',
    default: 'auto',
    means: 'Whether proxies are injected as native sidecars; `auto`: where every kubelet can.',
  },
  compliancePolicy: {
    type: anyText,
    env: 'COMPLIANCE_POLICY',
    default: '',
    means: 'Handed to injected proxies, for instance `fips-140-2`.',
  },
  platform: { type: anyText, env: 'PLATFORM', default: '', means: '`openshift`: injected proxies take its user ids.' },
} as const satisfies Readonly<Record<string, Setting<unknown>>>;

/** Where the control plane's own certificate is looked for without flags: certificate and key, then the first roots that are there. */
export const wellKnownFiles = {
  certificate: './var/run/secrets/istiod/tls/tls.crt',
  key: './var/run/secrets/istiod/tls/tls.key',
  roots: ['./var/run/secrets/istiod/ca/root-cert.pem', './var/run/secrets/istiod/tls/ca.crt'],
} as const;

/** A behaviour switch that translation reads by istiod's name. */
export interface Feature {
  readonly type: ValueType<unknown>;
  readonly default: string;
  readonly means: string;
}

/** Switches by environment variable. */
export const features: Readonly<Record<string, Feature>> = {
  ISTIO_DUAL_STACK: {
    type: bool,
    default: 'false',
    means: 'The mesh is served in two address families: services have an address of each, and proxies capture both.',
  },
  ENABLE_100_CONTINUE_HEADERS: {
    type: bool,
    default: 'true',
    means: 'Whether proxies pass `100 Continue` on.',
  },
  ENABLE_EXTERNAL_NAME_ALIAS: {
    type: bool,
    default: 'true',
    means: 'Whether a Service of type ExternalName is another name of its target.',
  },
  ENABLE_TLS_ON_SIDECAR_INGRESS: {
    type: bool,
    default: 'false',
    means: "Whether `tls` of a Sidecar's ingress counts.",
  },
  MAX_CONNECTIONS_PER_SOCKET_EVENT_LOOP: {
    type: integer(0, most),
    default: '1',
    means: "Connections that a proxy accepts in one turn; 0: Envoy's default.",
  },
  PERSIST_OLDEST_FIRST_HEURISTIC_FOR_VIRTUAL_SERVICE_HOST_MATCHING: {
    type: bool,
    default: 'false',
    means: 'Of several VirtualServices for a host the oldest counts, not the one with the most specific host.',
  },
  PILOT_DNS_CARES_UDP_MAX_QUERIES: {
    type: integer(0, most),
    default: '100',
    means: 'Queries over one UDP socket of a proxy.',
  },
  PILOT_DNS_JITTER_DURATION: { type: duration, default: '100ms', means: 'Spread of DNS look-ups.' },
  PILOT_ENABLE_HEADLESS_FILTER_CHAIN_LISTENER: {
    type: bool,
    default: 'false',
    means: 'One listener with a chain for each endpoint of a headless service, instead of a listener for each.',
  },
  PILOT_GATEWAY_TRANSPORT_SOCKET_CONNECT_TIMEOUT: {
    type: duration,
    default: '15s',
    means: 'Time for a TLS handshake with a gateway; 0: any.',
  },
  PILOT_HTTP10: {
    type: bool,
    default: 'false',
    means: 'Whether proxies take requests of HTTP/1.0, besides those whose metadata has `HTTP10`.',
  },
  PILOT_SCOPE_GATEWAY_TO_NAMESPACE: {
    type: bool,
    default: 'false',
    means: 'A Gateway counts for workloads of its own namespace only.',
  },
  K8S_INGRESS_NS: {
    type: optionalLabel,
    default: '',
    means: "Namespace of the ingress gateway that serves Ingresses; empty: the control plane's own.",
  },
  PILOT_TRACE_SAMPLING: { type: decimal(0, 100), default: '1', means: 'Percentage of requests that are traced.' },
};
