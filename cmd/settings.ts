// Everything an operator can set, read once from flags and istiod's environment variables into one frozen value.
import type { Command } from 'commander';
import { millisecondsOf, parseDuration } from '../config/duration.ts';

/** Settings of the control plane. Addresses are `host:port`; an empty one closes that port. Times in milliseconds. */
export interface Settings {
  /** Folder of configuration; absent: Kubernetes. */
  readonly configDir?: string;
  readonly kubeconfig?: string;
  readonly meshConfigFile?: string;
  readonly grpcAddr: string;
  readonly secureGrpcAddr: string;
  readonly httpAddr: string;
  readonly httpsAddr: string;
  readonly monitoringAddr: string;
  readonly domain: string;
  readonly clusterId: string;
  readonly systemNamespace: string;
  readonly revision: string;
  readonly podName: string;
  /** A plugged-in CA, used where the folder holds one. */
  readonly rootCaDir: string;
  /** Where file mode keeps its own CA and tokens' key. */
  readonly stateDir: string;
  readonly customHosts: readonly string[];
  readonly tokenAudiences: readonly string[];
  readonly trustedNodeAccounts: string;
  /** JSON of a JWTRule: an issuer whose tokens authenticate workloads. Empty: none. */
  readonly jwtRule: string;
  /** CIDRs of gateways that may name their client's certificate. Empty: none. */
  readonly trustedGatewayCidr: string;
  readonly defaultWorkloadCertTtlMs: number;
  readonly maxWorkloadCertTtlMs: number;
  /** Lifetime of the certificates that agentless Envoys get. */
  readonly agentlessCertTtlMs: number;
  readonly xdsAuth: boolean;
  readonly xdsIdentityCheck: boolean;
  readonly debugEndpoints: boolean;
  /** Whether replicas agree by Leases on who writes to the cluster; without, this one writes. */
  readonly leaderElection: boolean;
  readonly shutdownMs: number;
  readonly maxConnectionAgeMs: number;
  readonly logLevel: string;
  /** Behaviour switches by istiod's environment names that differ from their default. */
  readonly features: Readonly<Record<string, string>>;
}

/** Settings, and what to tell the operator about flags that mean nothing here. */
export interface ReadSettings {
  readonly settings: Settings;
  readonly warnings: readonly string[];
}

/** istiod's switches that translation reads by name (contract 4.6). */
const featureNames = [
  'PILOT_HTTP10',
  'PILOT_ENABLE_HEADLESS_FILTER_CHAIN_LISTENER',
  'PILOT_SEND_UNHEALTHY_ENDPOINTS',
  'PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS',
  'PILOT_FILTER_GATEWAY_CLUSTER_CONFIG',
  'PILOT_SCOPE_GATEWAY_TO_NAMESPACE',
  'PILOT_ENABLE_ALPN_FILTER',
  'PILOT_ENABLE_METADATA_EXCHANGE',
  'PILOT_ENABLE_IP_AUTOALLOCATE',
  'PILOT_ENABLE_QUIC_LISTENERS',
  'PILOT_ENABLE_MONGO_FILTER',
  'PILOT_ENABLE_MYSQL_FILTER',
  'PILOT_ENABLE_REDIS_FILTER',
  'PILOT_ENABLE_PERSISTENT_SESSION_FILTER',
  'PILOT_ENABLE_EDS_FOR_HEADLESS_SERVICES',
  'PILOT_DNS_CARES_UDP_MAX_QUERIES',
  'PILOT_DNS_JITTER_DURATION',
  'PILOT_GATEWAY_TRANSPORT_SOCKET_CONNECT_TIMEOUT',
  'PILOT_TRACE_SAMPLING',
  'ISTIO_DUAL_STACK',
  'ENABLE_TLS_ON_SIDECAR_INGRESS',
  'ENABLE_EXTERNAL_NAME_ALIAS',
  'ENABLE_ENHANCED_DESTINATIONRULE_MERGE',
  'MAX_CONNECTIONS_PER_SOCKET_EVENT_LOOP',
  'ENABLE_100_CONTINUE_HEADERS',
  'K8S_INGRESS_NS',
] as const;

type Env = Readonly<Record<string, string | undefined>>;

/** The flags of `discovery`, with istiod's names and defaults. */
export function discoveryFlags(command: Command): Command {
  return command
    .option('--configDir <dir>', 'watch this folder of YAML instead of Kubernetes')
    .option('--kubeconfig <file>', 'how to reach Kubernetes from outside')
    .option('--meshConfig <file>', 'mesh configuration that takes the place of the ConfigMap')
    .option('--grpcAddr <address>', 'xDS in plaintext, without identities', ':15010')
    .option('--secureGRPCAddr <address>', 'xDS and certificates over TLS', ':15012')
    .option('--httpAddr <address>', '/ready and /debug', ':8080')
    .option('--httpsAddr <address>', 'webhooks', ':15017')
    .option('--monitoringAddr <address>', '/metrics, /version and /debug', ':15014')
    .option('--domain <domain>', 'DNS domain of services', 'cluster.local')
    .option('--clusterID <id>', 'id of this cluster')
    .option('-n, --namespace <namespace>', 'namespace of the control plane')
    .option('--revision <revision>', 'revision of the control plane')
    .option('--shutdownDuration <duration>', 'how long calls may take to end', '10s')
    .option('--keepaliveMaxServerConnectionAge <duration>', 'age at which connections are asked to come again', '30m')
    .option('--log_output_level <level>', 'debug, info, warn or error', 'info')
    .option('--stateDir <dir>', 'where file mode keeps its CA', './.meltemi')
    .allowUnknownOption()
    .allowExcessArguments();
}

/** Reads parsed flags and the environment. Throws an Error that names the flag or variable with a bad value. */
export function readSettings(
  options: Readonly<Record<string, unknown>>,
  rest: readonly string[],
  env: Env,
): ReadSettings {
  const flag = (name: string): string | undefined =>
    typeof options[name] === 'string' ? (options[name] as string) : undefined;
  const time = (what: string, text: string): number => {
    const duration = parseDuration(text);
    const ms = duration === undefined ? -1 : millisecondsOf(duration);
    if (ms < 0) throw new Error(`${what}: ${JSON.stringify(text)} is not a duration such as 10s`);
    return ms;
  };
  const list = (text: string | undefined): readonly string[] =>
    (text ?? '')
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
  const configDir = flag('configDir');
  const kubeconfig = flag('kubeconfig');
  const meshConfigFile = flag('meshConfig');
  const settings: Settings = {
    ...(configDir === undefined ? {} : { configDir }),
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(meshConfigFile === undefined ? {} : { meshConfigFile }),
    grpcAddr: address('--grpcAddr', flag('grpcAddr') ?? ':15010'),
    secureGrpcAddr: address('--secureGRPCAddr', flag('secureGRPCAddr') ?? ':15012'),
    httpAddr: address('--httpAddr', flag('httpAddr') ?? ':8080'),
    httpsAddr: address('--httpsAddr', flag('httpsAddr') ?? ':15017'),
    monitoringAddr: address('--monitoringAddr', flag('monitoringAddr') ?? ':15014'),
    domain: flag('domain') ?? 'cluster.local',
    clusterId: flag('clusterID') ?? env['CLUSTER_ID'] ?? 'Kubernetes',
    systemNamespace: flag('namespace') ?? env['POD_NAMESPACE'] ?? 'istio-system',
    revision: flag('revision') ?? env['REVISION'] ?? '',
    podName: env['POD_NAME'] ?? 'meltemi',
    rootCaDir: env['ROOT_CA_DIR'] ?? './etc/cacerts',
    stateDir: flag('stateDir') ?? './.meltemi',
    customHosts: list(env['ISTIOD_CUSTOM_HOST']),
    tokenAudiences: list(env['TOKEN_AUDIENCES'] ?? 'istio-ca'),
    trustedNodeAccounts: env['CA_TRUSTED_NODE_ACCOUNTS'] ?? '',
    jwtRule: env['JWT_RULE'] ?? '',
    trustedGatewayCidr: env['TRUSTED_GATEWAY_CIDR'] ?? '',
    defaultWorkloadCertTtlMs: time('DEFAULT_WORKLOAD_CERT_TTL', env['DEFAULT_WORKLOAD_CERT_TTL'] ?? '24h'),
    maxWorkloadCertTtlMs: time('MAX_WORKLOAD_CERT_TTL', env['MAX_WORKLOAD_CERT_TTL'] ?? '2160h'),
    agentlessCertTtlMs: time(
      'AGENTLESS_CERT_TTL',
      env['AGENTLESS_CERT_TTL'] ?? env['DEFAULT_WORKLOAD_CERT_TTL'] ?? '24h',
    ),
    xdsAuth: env['XDS_AUTH'] !== 'false',
    xdsIdentityCheck: env['PILOT_ENABLE_XDS_IDENTITY_CHECK'] !== 'false',
    debugEndpoints: env['ENABLE_DEBUG_ON_HTTP'] !== 'false',
    leaderElection: env['ENABLE_LEADER_ELECTION'] !== 'false',
    shutdownMs: time('--shutdownDuration', flag('shutdownDuration') ?? '10s'),
    maxConnectionAgeMs: time('--keepaliveMaxServerConnectionAge', flag('keepaliveMaxServerConnectionAge') ?? '30m'),
    logLevel: levelOf(flag('log_output_level') ?? 'info'),
    features: Object.fromEntries(
      featureNames.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name] ?? '']])),
    ),
  };
  const unknown = rest.filter((argument) => argument.startsWith('-'));
  return {
    settings: Object.freeze(settings),
    warnings: unknown.map((name) => `flag ${name} is not known and ignored`),
  };
}

/** `:15010` means all addresses; `15010` is refused because it is neither. */
function address(name: string, text: string): string {
  if (text === '') return '';
  const match = /^(.*):(\d{1,5})$/.exec(text);
  if (match === null || Number(match[2]) > 65535) throw new Error(`${name}: ${JSON.stringify(text)} is not host:port`);
  return match[1] === '' ? `0.0.0.0:${match[2]}` : text;
}

/** istiod's form is `scope:level,…`; the default scope's level, or the first one, counts. */
function levelOf(text: string): string {
  const parts = text.split(',').map((part) => (part.includes(':') ? part : `default:${part}`).split(':'));
  const level = (parts.find(([scope]) => scope === 'default' || scope === 'all') ?? parts[0])?.[1] ?? 'info';
  return ['debug', 'info', 'warn', 'error', 'fatal'].includes(level) ? level : level === 'none' ? 'silent' : 'info';
}
