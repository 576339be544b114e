// What the webhooks know of the cluster, taken from the store of configuration: ConfigMaps, nodes, namespaces, ProxyConfigs.
import type { Diagnostic } from '../config/diagnostic.ts';
import type { ObjectOf } from '../config/kinds/kinds.ts';
import { compareAge } from '../config/object.ts';
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
}

/** Settings and cluster that follow the store. */
export interface StoreSettings extends Disposable {
  /** The settings in force: the last that could be read; the defaults where there is no ConfigMap. */
  readonly settings: () => InjectionSettings | undefined;
  /** Why the present ConfigMaps are not in force; empty where they are. */
  readonly diagnostics: () => readonly Diagnostic[];
  readonly cluster: ClusterView;
}

const kinds: ReadonlySet<string> = new Set(['ConfigMap', 'Node', 'Namespace', 'ProxyConfig']);

/** Follows a store. Reads anew at the first question after a change, so that a burst of changes costs one reading. */
export function settingsOfStore(options: StoreSettingsOptions): StoreSettings {
  const { store } = options;
  let inForce: InjectionSettings | undefined;
  let diagnostics: readonly Diagnostic[] = [];
  let facts: Facts | undefined;
  let isRead = false;
  const stop = store.subscribe((changes) => {
    if (!changes.some(({ kind }) => kinds.has(kind))) return;
    isRead = false;
    facts = undefined;
  });
  const read = () => {
    if (isRead) return;
    isRead = true;
    const result = readSettings(sourcesOf(options), options.process);
    diagnostics = 'diagnostics' in result ? result.diagnostics : [];
    if ('settings' in result) inForce = result.settings;
  };
  const factsNow = () => {
    facts ??= factsOf(store);
    return facts;
  };
  return {
    settings: () => {
      read();
      return inForce;
    },
    diagnostics: () => {
      read();
      return diagnostics;
    },
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

function sourcesOf({ store, systemNamespace, sharedMeshConfig, process }: StoreSettingsOptions) {
  const suffix = process.revision === '' || process.revision === 'default' ? '' : `-${process.revision}`;
  const dataOf = (name: string) => store.get('ConfigMap', `${systemNamespace}/${name}`)?.data ?? {};
  const { config, values } = dataOf(`istio-sidecar-injector${suffix}`);
  const { mesh } = dataOf(`istio${suffix}`);
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
