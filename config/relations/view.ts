// What relations are judged against: the other objects, found by what they say, and the mesh's settings.
import { defaultExportToOf } from '../export-to.ts';
import type { AnyObject, KindName, ObjectOf } from '../kinds/kinds.ts';
import type { MeshConfig } from '../mesh.ts';
import { compareText, keyOf } from '../object.ts';
import { hostWithin } from '../rules/hosts.ts';
import { type Delegation, delegateKey, delegationsOf } from './delegate.ts';

/** The objects that exist. The store is one. */
export interface ObjectView {
  /** One object by `namespace/name`. */
  get<K extends KindName>(kind: K, key: string): ObjectOf<K> | undefined;
  /** All objects of a kind. */
  list<K extends KindName>(kind: K): readonly ObjectOf<K>[];
}

/** Kinds of which only one without a selector counts in a namespace. */
export type Single = ObjectOf<'Sidecar'> | ObjectOf<'PeerAuthentication'>;

/** Kinds that select WorkloadEntries as endpoints. */
export type Selecting = ObjectOf<'Service'> | ObjectOf<'ServiceEntry'>;

type Labels = Readonly<Record<string, string>>;

/**
 * The objects that exist, and what else decides about references. What is looked for by content is found by indexes,
 * which are built when first asked: one value serves for many objects, as long as the others may be taken for unchanged.
 */
export interface Surroundings {
  readonly get: ObjectView['get'];
  readonly mesh: MeshConfig;
  /** DNS domain of services, `cluster.local`. */
  readonly domain: string;
  /** The ServiceEntries that have a host (a full name), exactly or by a wildcard. */
  readonly entriesOf: (host: string) => readonly ObjectOf<'ServiceEntry'>[];
  /** The DestinationRules for exactly a host (a full name), of all namespaces. */
  readonly rulesOf: (host: string) => readonly ObjectOf<'DestinationRule'>[];
  /** The VirtualServices of a namespace that apply in the mesh and name exactly a host (a full name). */
  readonly meshRoutesOf: (namespace: string, host: string) => readonly ObjectOf<'VirtualService'>[];
  /** The delegate of each HTTP route of a VirtualService, undefined for those that have none. */
  readonly delegationsOf: (root: ObjectOf<'VirtualService'>) => readonly (Delegation | undefined)[];
  /** The VirtualServices of which a route delegates to the one with this key. */
  readonly delegatingTo: (key: string) => readonly ObjectOf<'VirtualService'>[];
  /** The objects of a kind and namespace that select no workloads. */
  readonly singlesOf: (kind: Single['kind'], namespace: string) => readonly Single[];
  /** The objects of a namespace that select workloads with these labels as endpoints: first Services, then ServiceEntries. */
  readonly selecting: (namespace: string, labels: Labels) => readonly Selecting[];
  /** Namespaces of the pods that carry all these labels, sorted; undefined where there are no pods at all. */
  readonly podNamespaces: (labels: readonly (readonly [string, string])[]) => readonly string[] | undefined;
  /** `namespace/name` of every Gateway. */
  readonly gatewayKeys: () => readonly string[];
}

/** The surroundings that some objects make. */
export function surroundingsOf(objects: ObjectView, mesh: MeshConfig, domain: string): Surroundings {
  const entries = once(() => {
    const hosts = (entry: ObjectOf<'ServiceEntry'>) => (entry.spec.hosts ?? []).map((host) => host.toLowerCase());
    const all = objects.list('ServiceEntry');
    return {
      exact: groupBy(all, (entry) => hosts(entry).filter((host) => !host.startsWith('*'))),
      wild: all.flatMap((entry) => hosts(entry).flatMap((host) => (host.startsWith('*') ? [{ host, entry }] : []))),
    };
  });
  const rules = once(() =>
    groupBy(objects.list('DestinationRule'), ({ spec, metadata }) => [
      fullHost(spec.host ?? '', metadata.namespace, domain),
    ]),
  );
  const routes = once(() =>
    groupBy(objects.list('VirtualService').filter(isOfMesh), ({ spec, metadata }) =>
      (spec.hosts ?? []).map((host) => `${metadata.namespace}/${fullHost(host, metadata.namespace, domain)}`),
    ),
  );
  const roots = once(() =>
    groupBy(objects.list('VirtualService'), ({ spec, metadata }) =>
      (spec.http ?? []).flatMap(({ delegate }) =>
        delegate === undefined ? [] : [delegateKey(delegate, metadata.namespace)],
      ),
    ),
  );
  const singles = once(() => {
    const all: readonly Single[] = [...objects.list('Sidecar'), ...objects.list('PeerAuthentication')];
    const unselective = all.filter((object) => !hasSelector(object));
    return groupBy(unselective, ({ kind, metadata }) => [`${kind} ${metadata.namespace}`]);
  });
  const selecting = once(() => {
    const all: readonly Selecting[] = [...objects.list('Service'), ...objects.list('ServiceEntry')];
    return groupBy(all, (object) =>
      selectorOf(object)
        .slice(0, 1)
        .map((label) => `${object.metadata.namespace} ${labelText(label)}`),
    );
  });
  const pods = once(() => {
    const all = objects.list('Pod');
    return { all, byLabel: groupBy(all, ({ metadata }) => Object.entries(metadata.labels ?? {}).map(labelText)) };
  });
  const delegations = new Map<ObjectOf<'VirtualService'>, readonly (Delegation | undefined)[]>();
  return {
    get: (kind, key) => objects.get(kind, key),
    mesh,
    domain,
    entriesOf: (host) => [
      ...new Set([
        ...(entries().exact.get(host) ?? []),
        ...entries().wild.flatMap(({ host: outer, entry }) => (hostWithin(host, outer) ? [entry] : [])),
      ]),
    ],
    rulesOf: (host) => rules().get(host) ?? [],
    meshRoutesOf: (namespace, host) => routes().get(`${namespace}/${host}`) ?? [],
    delegationsOf: (root) => {
      const known = delegations.get(root);
      if (known !== undefined) return known;
      const own = keyOf(root.metadata);
      const find = (key: string) => (key === own ? root : objects.get('VirtualService', key));
      const found = delegationsOf(root, find, defaultExportToOf(mesh, 'virtualService'));
      delegations.set(root, found);
      return found;
    },
    delegatingTo: (key) => roots().get(key) ?? [],
    singlesOf: (kind, namespace) => singles().get(`${kind} ${namespace}`) ?? [],
    selecting: (namespace, labels) =>
      Object.entries(labels)
        .flatMap((label) => selecting().get(`${namespace} ${labelText(label)}`) ?? [])
        .filter((object) => selectorOf(object).every(([name, value]) => labels[name] === value))
        .sort((a, b) => compareText(a.kind, b.kind) || compareText(a.metadata.name, b.metadata.name)),
    podNamespaces: (labels) => {
      if (pods().all.length === 0) return undefined;
      const [first] = labels.map((label) => pods().byLabel.get(labelText(label)) ?? []).sort(byLength);
      const selected = (first ?? pods().all).filter(({ metadata }) =>
        labels.every(([key, value]) => metadata.labels?.[key] === value),
      );
      return [...new Set(selected.map(({ metadata }) => metadata.namespace))].sort();
    },
    gatewayKeys: once(() => objects.list('Gateway').map(({ metadata }) => keyOf(metadata))),
  };
}

/** The full name of a host that an object of `namespace` mentions: one without a dot is a service of that namespace. */
export function fullHost(host: string, namespace: string, domain: string): string {
  const lower = host.toLowerCase();
  return lower.includes('.') || lower === '*' || lower === '' ? lower : `${lower}.${namespace}.svc.${domain}`;
}

/** The Service behind a full name, if it has the form of one and exists. */
export function serviceOf({ get, domain }: Surroundings, host: string): ObjectOf<'Service'> | undefined {
  const suffix = `.svc.${domain}`;
  if (!host.endsWith(suffix)) return undefined;
  const [name, namespace, ...rest] = host.slice(0, -suffix.length).split('.');
  if (name === undefined || namespace === undefined || rest.length > 0) return undefined;
  return get('Service', `${namespace}/${name}`);
}

/** Whether a VirtualService applies in the mesh, not only at gateways. */
export function isOfMesh({ spec }: ObjectOf<'VirtualService'>): boolean {
  return (spec.gateways ?? []).length === 0 || (spec.gateways ?? []).includes('mesh');
}

/** Whether an object is for some workloads of its namespace only. */
export function hasSelector(object: Single): boolean {
  const labels = object.kind === 'Sidecar' ? object.spec?.workloadSelector?.labels : object.spec?.selector?.matchLabels;
  return Object.keys(labels ?? {}).length > 0;
}

/** The labels by which an object has WorkloadEntries; a headless Service and an ExternalName have none. */
function selectorOf(object: Selecting): readonly (readonly [string, string])[] {
  if (object.kind === 'ServiceEntry') return Object.entries(object.spec.workloadSelector?.labels ?? {});
  const { selector, clusterIP, type } = object.spec ?? {};
  return clusterIP === 'None' || type === 'ExternalName' ? [] : Object.entries(selector ?? {});
}

function once<T>(build: () => T): () => T {
  let built: { readonly value: T } | undefined;
  return () => {
    built ??= { value: build() };
    return built.value;
  };
}

function groupBy<T extends AnyObject>(
  all: readonly T[],
  groups: (item: T) => readonly string[],
): ReadonlyMap<string, readonly T[]> {
  const found = new Map<string, T[]>();
  for (const item of all) {
    for (const group of new Set(groups(item))) {
      const members = found.get(group);
      if (members === undefined) found.set(group, [item]);
      else members.push(item);
    }
  }
  return found;
}

function labelText([key, value]: readonly [string, string]): string {
  return `${key}=${value}`;
}

function byLength(a: readonly unknown[], b: readonly unknown[]): number {
  return a.length - b.length;
}
