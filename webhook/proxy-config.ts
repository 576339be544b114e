// ProxyConfig as a pod's proxy gets it: mesh defaults, ProxyConfig resources and the pod's annotation, merged by field.
import { parseYaml } from '../config/yaml.ts';
import { canonicalDuration } from './duration.ts';
import { goJson, proxyMessageText } from './field-order.ts';
import { isObject, type JsonObject, objectOf, sameJson } from './json.ts';

/** ProxyConfig in proto JSON (istio.mesh.v1alpha1.ProxyConfig). */
export type ProxyConfig = JsonObject;

/** What Istio's proxies assume where nothing is said; equal values are left out of what a pod is given. */
export const defaultProxyConfig: ProxyConfig = {
  configPath: './etc/istio/proxy',
  binaryPath: '/usr/local/bin/envoy',
  serviceCluster: 'istio-proxy',
  drainDuration: '45s',
  discoveryAddress: 'istiod.istio-system.svc:15012',
  proxyAdminPort: 15000,
  controlPlaneAuthPolicy: 'MUTUAL_TLS',
  statNameLength: 189,
  statusPort: 15020,
  terminationDrainDuration: '5s',
};

type FieldKind = 'text' | 'int' | 'bool' | 'duration' | 'texts' | 'textMap' | 'message' | readonly string[];

// In the order of the fields' declaration, which is the order of their JSON text.
const fields: { readonly [name: string]: FieldKind } = {
  configPath: 'text',
  binaryPath: 'text',
  serviceCluster: 'text',
  tracingServiceName: ['APP_LABEL_AND_NAMESPACE', 'CANONICAL_NAME_ONLY', 'CANONICAL_NAME_AND_NAMESPACE'],
  drainDuration: 'duration',
  parentShutdownDuration: 'duration',
  discoveryAddress: 'text',
  discoveryRefreshDelay: 'duration',
  zipkinAddress: 'text',
  statsdUdpAddress: 'text',
  envoyMetricsServiceAddress: 'text',
  proxyAdminPort: 'int',
  availabilityZone: 'text',
  controlPlaneAuthPolicy: ['NONE', 'MUTUAL_TLS', 'INHERIT'],
  customConfigFile: 'text',
  statNameLength: 'int',
  concurrency: 'int',
  proxyBootstrapTemplatePath: 'text',
  interceptionMode: ['REDIRECT', 'TPROXY', 'NONE'],
  tracing: 'message',
  sds: 'message',
  envoyAccessLogService: 'message',
  envoyMetricsService: 'message',
  proxyMetadata: 'textMap',
  runtimeValues: 'textMap',
  statusPort: 'int',
  extraStatTags: 'texts',
  gatewayTopology: 'message',
  terminationDrainDuration: 'duration',
  meshId: 'text',
  readinessProbe: 'message',
  proxyStatsMatcher: 'message',
  holdApplicationUntilProxyStarts: 'bool',
  caCertificatesPem: 'texts',
  image: 'message',
  privateKeyProvider: 'message',
  proxyHeaders: 'message',
  connectionSettings: 'message',
  fileFlushInterval: 'duration',
  fileFlushMinSizeKb: 'int',
  statsEvictionInterval: 'duration',
};

/** Fields whose zero is a value, because their type can tell it from absence. */
const wrappers: ReadonlySet<string> = new Set(['concurrency', 'holdApplicationUntilProxyStarts', 'fileFlushMinSizeKb']);

/** The largest `proxy.istio.io/config` that is parsed, in characters. */
const maximumAnnotation = 64 * 1024;

/** Reads the annotation `proxy.istio.io/config`: YAML of a ProxyConfig; unknown fields are dropped. */
export function parseProxyConfig(text: string): { readonly config: ProxyConfig } | { readonly problem: string } {
  if (text.length > maximumAnnotation) return { problem: `is longer than ${maximumAnnotation} characters` };
  const { documents, diagnostics } = parseYaml('proxy.istio.io/config', text);
  const problem = diagnostics.find((diagnostic) => diagnostic.severity === 'error');
  if (problem !== undefined) return { problem: `yaml: ${problem.message}` };
  const parsed = documents[0]?.value;
  if (parsed === null || parsed === undefined) return { config: {} };
  if (!isObject(parsed)) return { problem: 'is not a map of ProxyConfig fields' };
  return normalize(parsed);
}

/** Checks the known fields and brings their values into proto JSON's form; snake_case names are accepted as well. */
export function normalize(raw: JsonObject): { readonly config: ProxyConfig } | { readonly problem: string } {
  const config: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) {
    const name = key.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase());
    const kind = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (kind === undefined || value === null) continue;
    const checked = checkField(kind, value);
    if (checked === undefined)
      return { problem: `field ${name} does not take the value ${goJson(value).slice(0, 80)}` };
    const bad = name === 'proxyMetadata' ? Object.keys(objectOf(checked)).find((key) => !isVariable(key)) : undefined;
    if (bad !== undefined) return { problem: `field proxyMetadata names ${JSON.stringify(bad)}, which is no variable` };
    config[name] = checked;
  }
  return { config };
}

// As Kubernetes wants the names of variables: printable ASCII without the sign that separates name and value.
function isVariable(name: string): boolean {
  return /^[ -<>-~]+$/.test(name);
}

function checkField(kind: FieldKind, value: unknown): unknown {
  if (typeof kind !== 'string') {
    return typeof value === 'number' ? kind[value] : kind.find((name) => name === value);
  }
  switch (kind) {
    case 'text':
      return typeof value === 'string' ? value : undefined;
    case 'bool':
      return typeof value === 'boolean' ? value : undefined;
    case 'int':
      return intOf(value);
    case 'duration':
      return typeof value === 'string' ? canonicalDuration(value) : undefined;
    case 'texts':
      return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined;
    case 'textMap':
      return isObject(value) && Object.values(value).every((item) => typeof item === 'string') ? value : undefined;
    case 'message':
      return isObject(value) ? durationsIn(value) : undefined;
  }
}

function intOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^-?\d{1,10}$/.test(value) ? Number(value) : value;
  const fits = typeof number === 'number' && Number.isInteger(number) && Math.abs(number) <= 2_147_483_647;
  return fits ? number : undefined;
}

// Nested messages hold durations under names that end in these words.
function durationsIn(message: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(message).map(([key, value]) => {
      if (isObject(value)) return [key, durationsIn(value)];
      const isDuration = typeof value === 'string' && /(delay|duration|timeout|interval|time)$/i.test(key);
      return [key, isDuration ? (canonicalDuration(value) ?? value) : value];
    }),
  );
}

/**
 * Lays one ProxyConfig over another as Istio does: a field that is set replaces the whole field below it, except that
 * the maps `proxyMetadata` and `runtimeValues` merge by key.
 */
export function mergeProxyConfig(base: ProxyConfig, overlay: ProxyConfig): ProxyConfig {
  const result: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(overlay)) {
    const isMap = fields[name] === 'textMap';
    result[name] = isMap ? { ...objectOf(base[name]), ...objectOf(value) } : value;
  }
  if (Object.hasOwn(overlay, 'tracingServiceName')) delete result['serviceCluster'];
  return result;
}

/** The text of the variable PROXY_CONFIG: what differs from the defaults, in the order of declaration. */
export function proxyConfigText(config: ProxyConfig): string {
  const result: Record<string, unknown> = {};
  for (const name of Object.keys(fields)) {
    const value = config[name];
    if (value === undefined || sameJson(value, defaultProxyConfig[name])) continue;
    if (name === 'controlPlaneAuthPolicy' && value === 'NONE') continue;
    if (isZero(value) && !wrappers.has(name) && fields[name] !== 'message') continue;
    result[name] = fields[name] === 'textMap' ? sortedMap(objectOf(value)) : value;
  }
  return proxyMessageText(result);
}

function isZero(value: unknown): boolean {
  if (value === '' || value === 0 || value === false || value === 'REDIRECT' || value === 'APP_LABEL_AND_NAMESPACE')
    return true;
  return Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0;
}

function sortedMap(map: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.keys(map)
      .sort()
      .map((key) => [key, map[key]]),
  );
}

/** A text field, empty where absent. */
export function textField(config: ProxyConfig, name: string): string {
  const value = config[name];
  return typeof value === 'string' ? value : '';
}

/** The environment that ProxyConfig gives the proxy, sorted by name. */
export function proxyMetadataOf(config: ProxyConfig): readonly (readonly [string, string])[] {
  return Object.entries(sortedMap(objectOf(config['proxyMetadata']))).map(([key, value]) => [key, String(value)]);
}
