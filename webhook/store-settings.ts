// What the webhooks know of the cluster, taken from the store of configuration: ConfigMaps, nodes, namespaces, ProxyConfigs.
import { type Diagnostic, warningOf } from '../config/diagnostic.ts';
import type { ObjectOf } from '../config/kinds/kinds.ts';
import { compareAge, type ObjectRef } from '../config/object.ts';
import type { Store } from '../config/store.ts';
import { type ProcessSettings, readSettings } from './config-map.ts';
import type { ClusterView, InjectionSettings } from './context.ts';
import type { ProxyConfig } from './proxy-config.ts';

/** Where the settings are. */
export interface StoreSettingsOptions {
  readonly store: Store;
  readonly systemNamespace: string;
  /** The cluster whose nodes the store holds. */
  readonly clusterId: string;
  /** Name of a ConfigMap over which the mesh configuration is laid. */
  readonly sharedMeshConfig?: string;
  readonly process: ProcessSettings;
  /** Told, now and after each change of a ConfigMap that holds settings, what is wrong; nothing where all is well. */
  readonly report?: (findings: readonly Diagnostic[]) => void;
}

/** Settings and cluster that follow the store. */
export interface StoreSettings extends Disposable {
  /** The settings in force: the last that could be read; the defaults where there is no ConfigMap. */
  readonly settings: () => InjectionSettings | undefined;
  /** Why the present ConfigMaps are not in force, each about its ConfigMap; empty where they are. */
  readonly diagnostics: () => readonly Diagnostic[];
  readonly cluster: ClusterView;
}

const kindsOfFacts: ReadonlySet<string> = new Set(['Node', 'Namespace', 'ProxyConfig']);

/** Follows a store: settings are read when their ConfigMap changes, the rest at the first question after a change. */
export function settingsOfStore(options: StoreSettingsOptions): StoreSettings {
  const { store } = options;
  const names = configMapsOf(options);
  const keys: ReadonlySet<string> = new Set(Object.values(names).map((name) => `${options.systemNamespace}/${name}`));
  let inForce: InjectionSettings | undefined;
  let diagnostics: readonly Diagnostic[] = [];
  let facts: Facts | undefined;
  const read = () => {
    const result = readSettings(sourcesOf(options), options.process);
    diagnostics = 'diagnostics' in result ? result.diagnostics.map((finding) => located(finding, options)) : [];
    if ('settings' in result) inForce = result.settings;
    options.report?.(diagnostics.length === 0 || inForce === undefined ? diagnostics : [...diagnostics, kept(options)]);
  };
  read();
  const stop = store.subscribe((changes) => {
    if (changes.some(({ kind, key }) => kind === 'ConfigMap' && keys.has(key))) read();
    if (changes.some(({ kind }) => kindsOfFacts.has(kind))) facts = undefined;
  });
  const factsNow = () => {
    facts ??= factsOf(store);
    return facts;
  };
  return {
    settings: () => inForce,
    diagnostics: () => diagnostics,
    cluster: {
      kubeletVersions: (clusterId, node) => {
        if (clusterId !== options.clusterId) return [];
        if (node === undefined) return factsNow().allVersions;
        const version = factsNow().versions.get(node);
        return version === undefined ? [] : [version];
      },
      namespaceAnnotations: (namespace) => factsNow().namespaces.get(namespace),
      proxyConfigs: (namespace, labels) =>
        selected(factsNow().proxyConfigs, inForce?.mesh.rootNamespace ?? options.systemNamespace, namespace, labels),
    },
    [Symbol.dispose]: () => void stop(),
  };
}

/** Names of the ConfigMaps of the injector and of the mesh. */
function configMapsOf({ process }: Pick<StoreSettingsOptions, 'process'>) {
  const suffix = process.revision === '' || process.revision === 'default' ? '' : `-${process.revision}`;
  return { injector: `istio-sidecar-injector${suffix}`, mesh: `istio${suffix}` };
}

function refTo(which: 'injector' | 'mesh', options: StoreSettingsOptions): ObjectRef {
  return { kind: 'ConfigMap', namespace: options.systemNamespace, name: configMapsOf(options)[which] };
}

/** A finding about a text of a ConfigMap as one about the ConfigMap's field, with the line in words. */
function located({ position, path = '', ...finding }: Diagnostic, options: StoreSettingsOptions): Diagnostic {
  const [text = '', ...rest] = position === undefined ? path.split('.') : [position.file];
  const place = rest.length > 0 ? `${rest.join('.')}: ` : position === undefined ? '' : `line ${position.line}: `;
  const object = refTo(text === 'mesh' ? 'mesh' : 'injector', options);
  return { ...finding, object, path: `data.${text}`, message: `${place}${finding.message}` };
}

function kept(options: StoreSettingsOptions): Diagnostic {
  return warningOf('kept-last-good', 'pods are injected by the last valid settings', {
    object: refTo('injector', options),
  });
}

function sourcesOf(options: StoreSettingsOptions) {
  const { store, systemNamespace, sharedMeshConfig } = options;
  const names = configMapsOf(options);
  const dataOf = (name: string) => store.get('ConfigMap', `${systemNamespace}/${name}`)?.data ?? {};
  const { config, values } = dataOf(names.injector);
  const { mesh } = dataOf(names.mesh);
  const { mesh: sharedMesh } = sharedMeshConfig === undefined ? {} : dataOf(sharedMeshConfig);
  return {
    ...(config === undefined ? {} : { config }),
    ...(values === undefined ? {} : { values }),
    ...(mesh === undefined ? {} : { mesh }),
    ...(sharedMesh === undefined ? {} : { sharedMesh }),
  };
}

type ProxyConfigObject = ObjectOf<'ProxyConfig'>;

interface Facts {
  readonly versions: ReadonlyMap<string, string>;
  readonly allVersions: readonly string[];
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
  /** By age, the oldest first: of several that apply at one level, the oldest counts. */
  readonly proxyConfigs: readonly ProxyConfigObject[];
}

function factsOf(store: Store): Facts {
  const versions = new Map(
    store.list('Node').map((node) => [node.metadata.name, node.status?.nodeInfo?.kubeletVersion ?? '']),
  );
  return {
    versions,
    allVersions: [...versions.values()],
    namespaces: new Map(store.list('Namespace').map(({ metadata }) => [metadata.name, metadata.annotations ?? {}])),
    proxyConfigs: [...store.list('ProxyConfig')].sort(compareAge),
  };
}

/** One ProxyConfig for each level, root namespace, namespace and workload, as ProxyConfig's fields. */
function selected(
  all: readonly ProxyConfigObject[],
  rootNamespace: string,
  namespace: string,
  labels: Readonly<Record<string, string>>,
): readonly ProxyConfig[] {
  const isWide = (object: ProxyConfigObject) => Object.keys(object.spec?.selector?.matchLabels ?? {}).length === 0;
  const selects = (object: ProxyConfigObject) =>
    Object.entries(object.spec?.selector?.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
  const inNamespace = (name: string) => all.filter((object) => object.metadata.namespace === name);
  const own = inNamespace(namespace);
  const levels = [
    inNamespace(rootNamespace).find(isWide),
    namespace === rootNamespace ? undefined : own.find(isWide),
    own.find((object) => !isWide(object) && selects(object)),
  ];
  return levels.filter((object) => object !== undefined).map(fieldsOf);
}

function fieldsOf({ spec }: ProxyConfigObject): ProxyConfig {
  const { concurrency, environmentVariables, image } = spec ?? {};
  return {
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(environmentVariables === undefined ? {} : { proxyMetadata: environmentVariables }),
    ...(image === undefined ? {} : { image }),
  };
}
