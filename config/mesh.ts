// The mesh's settings: MeshConfig and ProxyConfig with their defaults, and how a ConfigMap's text is laid over them.
import type { TSchema } from 'typebox';
import { type Diagnostic, errorOf, hasErrors } from './diagnostic.ts';
import type { ExtensionProvider } from './kinds/extension-provider.ts';
import type { ValueOf } from './kinds/field.ts';
import { type MeshConfigInput, type MeshNetworks, meshConfig, meshNetworks } from './kinds/mesh-config.ts';
import { type ProxySettings, proxySettings } from './kinds/proxy-settings.ts';
import { compareText } from './object.ts';
import { meshRules } from './rules/mesh.ts';
import { type Reading, readValue, unreadable } from './schema-check.ts';
import { parseYaml } from './yaml.ts';

/** Makes some fields of a type certain to be there. */
type With<T, K extends keyof T> = Omit<T, K> & { readonly [P in K]-?: Exclude<T[P], undefined> };

/** Settings of one proxy, with those that have a default. */
export type ProxyConfig = With<
  ProxySettings,
  | 'binaryPath'
  | 'configPath'
  | 'controlPlaneAuthPolicy'
  | 'discoveryAddress'
  | 'drainDuration'
  | 'proxyAdminPort'
  | 'serviceCluster'
  | 'statNameLength'
  | 'statusPort'
  | 'terminationDrainDuration'
>;

/** Settings of the mesh, with those that have a default. Durations are strings; see duration.ts. */
export type MeshConfig = Omit<
  With<
    MeshConfigInput,
    | 'connectTimeout'
    | 'defaultDestinationRuleExportTo'
    | 'defaultProviders'
    | 'defaultServiceExportTo'
    | 'defaultVirtualServiceExportTo'
    | 'dnsRefreshRate'
    | 'enableAutoMtls'
    | 'enablePrometheusMerge'
    | 'enableTracing'
    | 'extensionProviders'
    | 'inboundTrafficPolicy'
    | 'ingressClass'
    | 'ingressControllerMode'
    | 'ingressService'
    | 'localityLbSetting'
    | 'outboundTrafficPolicy'
    | 'protocolDetectionTimeout'
    | 'proxyInboundListenPort'
    | 'proxyListenPort'
    | 'rootNamespace'
    | 'trustDomain'
  >,
  'defaultConfig'
> & { readonly defaultConfig: ProxyConfig };

/** Istio's defaults of ProxyConfig. */
export const defaultProxyConfig: ProxyConfig = {
  binaryPath: '/usr/local/bin/envoy',
  configPath: './etc/istio/proxy',
  controlPlaneAuthPolicy: 'MUTUAL_TLS',
  discoveryAddress: 'istiod.istio-system.svc:15012',
  drainDuration: '45s',
  proxyAdminPort: 15000,
  serviceCluster: 'istio-proxy',
  statNameLength: 189,
  statusPort: 15020,
  terminationDrainDuration: '5s',
};

/** Istio's defaults of MeshConfig (contract 4.4). */
export const defaultMeshConfig: MeshConfig = {
  connectTimeout: '10s',
  defaultConfig: defaultProxyConfig,
  defaultDestinationRuleExportTo: ['*'],
  defaultProviders: {},
  defaultServiceExportTo: ['*'],
  defaultVirtualServiceExportTo: ['*'],
  dnsRefreshRate: '60s',
  enableAutoMtls: true,
  enablePrometheusMerge: true,
  enableTracing: true,
  extensionProviders: [
    { name: 'prometheus', prometheus: {} },
    { name: 'stackdriver', stackdriver: {} },
    { name: 'envoy', envoyFileAccessLog: { path: '/dev/stdout' } },
  ],
  inboundTrafficPolicy: {},
  ingressClass: 'istio',
  ingressControllerMode: 'STRICT',
  ingressService: 'istio-ingressgateway',
  localityLbSetting: { enabled: true },
  outboundTrafficPolicy: { mode: 'ALLOW_ANY' },
  protocolDetectionTimeout: '0s',
  proxyInboundListenPort: 15006,
  proxyListenPort: 15001,
  rootNamespace: 'istio-system',
  trustDomain: 'cluster.local',
};

/** Settings that were read, or only findings: the caller then keeps what it had. Paths are from the text's root. */
export interface Parsed<T> {
  readonly value?: T;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Reads the text of key `mesh` and lays it over `base`. Fields that are not known give warnings. `mesh` is absent where
 * the text has errors. Findings stand at lines of `file`.
 */
export function parseMeshConfig(
  yamlText: string,
  { base = defaultMeshConfig, file = 'mesh' }: { readonly base?: MeshConfig; readonly file?: string } = {},
): { readonly mesh?: MeshConfig; readonly diagnostics: readonly Diagnostic[] } {
  const parsed = parseSettings(meshConfig, yamlText, file);
  if (parsed.value === undefined) return { diagnostics: parsed.diagnostics };
  const mesh = mergeMeshConfig(base, parsed.value);
  const diagnostics = [...parsed.diagnostics, ...meshRules(mesh).map(parsed.placed)];
  return hasErrors(diagnostics) ? { diagnostics } : { mesh, diagnostics };
}

/** Checks a MeshConfig that is a value already, as files of JSON hold it. */
export function readMeshConfig(value: unknown): Parsed<MeshConfigInput> {
  return readSettings(meshConfig, value);
}

/** Reads the text of key `meshNetworks`. Findings stand at lines of `file`. */
export function parseMeshNetworks(yamlText: string, file = 'meshNetworks'): Parsed<MeshNetworks> {
  return parseSettings(meshNetworks, yamlText, file);
}

/** Reads the text of the annotation `proxy.istio.io/config`. */
export function parseProxyConfig(yamlText: string): Parsed<ProxySettings> {
  return parseSettings(proxySettings, yamlText, proxyConfigAnnotation);
}

/**
 * Lays settings over others: a field replaces the field, except that `defaultConfig` and `defaultProviders` are merged
 * field by field, extension providers by name, and trust domain aliases are united.
 */
export function mergeMeshConfig(base: MeshConfig, over: MeshConfigInput): MeshConfig {
  const aliases = [...new Set([...(base.trustDomainAliases ?? []), ...(over.trustDomainAliases ?? [])])];
  return {
    ...base,
    ...over,
    defaultConfig: mergeProxyConfig(base.defaultConfig, over.defaultConfig ?? {}),
    defaultProviders: { ...base.defaultProviders, ...over.defaultProviders },
    extensionProviders: mergeProviders(base.extensionProviders, over.extensionProviders ?? []),
    ...(aliases.length === 0 ? {} : { trustDomainAliases: aliases.sort(compareText) }),
  };
}

/** Lays proxy settings over others: a field replaces the field; maps and `proxyHeaders` are merged by key. */
export function mergeProxyConfig(base: ProxyConfig, over: ProxySettings): ProxyConfig {
  const { proxyMetadata, runtimeValues, proxyHeaders } = over;
  return {
    ...base,
    ...over,
    ...(proxyMetadata === undefined ? {} : { proxyMetadata: { ...base.proxyMetadata, ...proxyMetadata } }),
    ...(runtimeValues === undefined ? {} : { runtimeValues: { ...base.runtimeValues, ...runtimeValues } }),
    ...(proxyHeaders === undefined ? {} : { proxyHeaders: { ...base.proxyHeaders, ...proxyHeaders } }),
  };
}

function mergeProviders(
  base: readonly ExtensionProvider[],
  over: readonly ExtensionProvider[],
): readonly ExtensionProvider[] {
  const byName = new Map(base.map((provider) => [provider.name ?? '', provider]));
  for (const provider of over) byName.set(provider.name ?? '', provider);
  return [...byName.values()];
}

const longestText = 1 << 20;
const proxyConfigAnnotation = 'proxy.istio.io/config';

/** Settings of a text, and how a finding about them gets its line. */
interface ParsedText<T> extends Parsed<T> {
  readonly placed: (finding: Diagnostic) => Diagnostic;
}

function parseSettings<S extends TSchema>(schema: S, text: string, file: string): ParsedText<ValueOf<S>> {
  const nowhere = (finding: Diagnostic): Diagnostic => finding;
  const refused = (diagnostics: readonly Diagnostic[]) => ({ diagnostics, placed: nowhere });
  if (text.length > longestText) {
    return refused([errorOf('yaml-limit', `the settings are longer than ${longestText} characters`)]);
  }
  const { documents, diagnostics } = parseYaml(file, text);
  const [document] = documents;
  if (hasErrors(diagnostics)) return refused(diagnostics);
  if (document === undefined) return { value: {} as ValueOf<S>, diagnostics, placed: nowhere };
  if (documents.length > 1) return refused([errorOf('yaml-syntax', 'must be one document')]);
  const placed = (finding: Diagnostic): Diagnostic => ({
    ...finding,
    position: document.positionOf(finding.path ?? ''),
  });
  const read = readSettings(schema, document.value);
  return { ...read, diagnostics: read.diagnostics.map(placed), placed };
}

function readSettings<S extends TSchema>(schema: S, value: unknown): Parsed<ValueOf<S>> {
  const findings: Diagnostic[] = [];
  const reading: Reading = { findings, unknown: 'warning', maxFindings: 100, maxDepth: 50 };
  const read = readValue(reading, schema, value, '');
  return read === unreadable ? { diagnostics: findings } : { value: read as ValueOf<S>, diagnostics: findings };
}
