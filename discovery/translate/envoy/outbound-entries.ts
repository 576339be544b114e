// Which outbound clusters a client has, and where each one's endpoints come from: one list for clusters and endpoints.
import { isDeepStrictEqual } from 'node:util';
import { query, type Read } from '../../graph/graph.ts';
import { passesThrough } from '../../model/auto-passthrough.ts';
import { appliedRule, selectorLabels } from '../../model/destination-rules.ts';
import { isHttp } from '../../model/protocol.ts';
import { routedServices } from '../../model/routed-services.ts';
import { type ScopedService, scopeServices, serviceNamespaces } from '../../model/scope-services.ts';
import type { Service, ServicePort } from '../../model/service.ts';
import { portOf, serviceEndpoints } from '../../model/service-endpoints.ts';
import { services } from '../../model/services.ts';
import { sidecarScope } from '../../model/sidecar-scope.ts';
import { mergedRule, trafficPolicyOf } from '../../model/traffic-policy.ts';
import { selects } from '../../model/workload.ts';
import type { ProxyClass } from '../../proxy/proxy-class.ts';
import { layered } from '../layered-directory.ts';
import { type Directory, type ResourceRef, refTo, sameDirectory } from '../translator.ts';
import { type ClusterKey, type ClusterProfile, clusterKey, profileId, profileOf } from './cluster-key.ts';
import {
  anywhere,
  type EndpointClient,
  type EndpointPolicy,
  type EndpointView,
  endpointPolicy,
  isNetworked,
  isPlaceless,
  viewId,
  viewOf,
} from './endpoint-view.ts';
import { assignmentKey, loadAssignment, subsetLabels } from './load-assignment.ts';
import { clusterNameOf, discoveryOf, outboundClusterResource } from './outbound-cluster.ts';

/** A cluster that a client has, before the client's place is known. */
export interface ClusterEntry {
  readonly name: string;
  readonly key: ClusterKey;
  /** `eds`: endpoints come apart, `inline`: the cluster carries them, `none`: it has none. */
  readonly endpoints: 'eds' | 'inline' | 'none';
  readonly policy: EndpointPolicy;
  /** Cells for clients whose place does not matter, made once for all of them; absent where it matters to all. */
  readonly anywhere?: EntryRefs;
}

/** Cells of a cluster and, where they come apart, of its endpoints. */
export interface EntryRefs {
  readonly cluster: ResourceRef;
  readonly endpoints?: ResourceRef;
}

/** The client as the list needs it. */
export type OutboundClient = Pick<
  ProxyClass,
  'flavour' | 'capabilities' | 'namespace' | 'labels' | 'scope' | 'ipFamily' | 'settings'
>;

/**
 * Visits the outbound clusters of clients. A name may come twice, from two listeners or namespaces: then the first one
 * counts.
 */
function visitEntries(
  read: Read,
  key: Pick<SharedKey, 'namespace' | 'scope' | 'labels' | 'profile'>,
  sniRouted: boolean,
  visit: (entry: ClusterEntry) => void,
): void {
  const { namespace, scope, labels, profile } = key;
  for (const listener of read(sidecarScope, { namespace, scope }).egress.keys()) {
    for (const of of read(serviceNamespaces, 'all')) {
      for (const entry of read(namespaceEntries, { namespace, scope, listener, of, labels, profile, sniRouted })) {
        visit(entry);
      }
    }
  }
  for (const scoped of read(routedServices, { namespace, scope }).values()) {
    for (const entry of entriesOf(read, { namespace, labels, profile, sniRouted }, scoped)) visit(entry);
  }
}

/** Whether a client has a cluster that carries its endpoints itself. */
export function hasInlineCluster(read: Read, client: OutboundClient & EndpointClient, name: string): boolean {
  const { cluster, endpoints } = outboundDirectories(read, client);
  return cluster.has(name) && !endpoints.has(name);
}

/** Cells of a client's outbound clusters and of their endpoints, by name: the same object for all that are placed alike. */
export function outboundDirectories(read: Read, client: OutboundClient & EndpointClient): OutboundDirectories {
  const { namespace, scope } = client;
  const labels = relevantLabels(read, client);
  const profile = profileOf(client);
  const shared = {
    namespace,
    scope,
    labels,
    profile,
    sniRouted: isSniRouter(read, client),
    ...networkPlace(read, client),
  };
  const { policies, ...directories } = read(sharedOutbound, shared);
  if (policies.length === 0) return directories;
  return read(placedOutbound, { shared, views: policies.map((policy) => viewOf(read, policy, client)) });
}

/** The client's network where it matters: then it decides every assignment. */
function networkPlace(read: Read, client: EndpointClient): { readonly view: EndpointView } {
  if (!isNetworked(read, client)) return { view: anywhere };
  const { network, networkView } = viewOf(read, placeless, client);
  return {
    view: {
      ...(network === undefined ? {} : { network }),
      ...(networkView === undefined ? {} : { networkView }),
    },
  };
}

const placeless: EndpointPolicy = { failover: false, nodeLocal: false, healthyOnly: false, tls: 'unruled' };

interface SharedKey {
  readonly namespace: string;
  readonly scope: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly profile: ClusterProfile;
  readonly sniRouted: boolean;
  readonly view: EndpointView;
}

interface OutboundDirectories {
  readonly cluster: Directory;
  readonly endpoints: Directory;
}

interface SharedOutbound extends OutboundDirectories {
  /** Entries whose endpoints depend on where exactly the client is. */
  readonly placed: readonly PlacedEntry[];
  /** The different policies of these. */
  readonly policies: readonly EndpointPolicy[];
}

interface PlacedEntry {
  readonly entry: ClusterEntry;
  /** Which of the policies. */
  readonly policy: number;
}

function sharedId({ namespace, scope, labels, profile, sniRouted, view }: SharedKey): string {
  return `${namespace}|${scope}|${JSON.stringify(Object.entries(labels))}|${profileId(profile)}|${sniRouted}|${viewId(view)}`;
}

/** What all clients of a namespace, scope and kind have in common. */
const sharedOutbound = query<SharedKey, SharedOutbound>(
  'shared-outbound',
  (read, key) => {
    const found = { cluster: new Map<string, ResourceRef>(), endpoints: new Map<string, ResourceRef>() };
    const placed: PlacedEntry[] = [];
    const policies: EndpointPolicy[] = [];
    const claimed = new Set<string>();
    // One listener alone names nothing twice; the check would cost as much as the rest.
    const unique = read(sidecarScope, key).egress.length === 1 && read(routedServices, key).size === 0;
    const visit = (entry: ClusterEntry): void => {
      if (!unique) {
        if (claimed.has(entry.name)) return;
        claimed.add(entry.name);
      }
      if (entry.anywhere === undefined) {
        placed.push({ entry, policy: placeIn(policies, entry.policy) });
        return;
      }
      const { cluster, endpoints } = key.view === anywhere ? entry.anywhere : placedRefs(entry, key.view);
      found.cluster.set(entry.name, cluster);
      if (endpoints !== undefined) found.endpoints.set(entry.name, endpoints);
    };
    visitEntries(read, key, false, visit);
    if (key.sniRouted) visitEntries(read, key, true, visit);
    return { ...found, placed, policies };
  },
  {
    idOf: sharedId,
    equals: (a, b) =>
      samePlaced(a.placed, b.placed) && isDeepStrictEqual(a.policies, b.policies) && sameDirectories(a, b),
  },
);

interface PlacedKey {
  readonly shared: SharedKey;
  /** What each of the policies looks at of the client. */
  readonly views: readonly EndpointView[];
}

/** The same with the entries that depend on the client's place, which most clients have in common too. */
const placedOutbound = query<PlacedKey, OutboundDirectories>(
  'placed-outbound',
  (read, { shared, views }) => {
    const { placed, ...directories } = read(sharedOutbound, shared);
    const own = { cluster: new Map<string, ResourceRef>(), endpoints: new Map<string, ResourceRef>() };
    const texts = views.map(viewId);
    for (const { entry, policy } of placed) {
      const place = { entry, view: views[policy] ?? anywhere, text: texts[policy] ?? '' };
      const { cluster, endpoints } = read(placedEntry, place);
      own.cluster.set(entry.name, cluster);
      if (endpoints !== undefined) own.endpoints.set(entry.name, endpoints);
    }
    return {
      cluster: layered(directories.cluster, own.cluster),
      endpoints: layered(directories.endpoints, own.endpoints),
    };
  },
  { idOf: ({ shared, views }) => `${sharedId(shared)}|${views.map(viewId).join('|')}`, equals: sameDirectories },
);

interface PlaceKey {
  readonly entry: ClusterEntry;
  readonly view: EndpointView;
  /** Text of the view. */
  readonly text: string;
}

/** The cells of one entry for a place: shared by the namespaces that have the entry. */
const placedEntry = query<PlaceKey, EntryRefs>('placed-entry', (_read, { entry, view }) => placedRefs(entry, view), {
  idOf: ({ entry, text }) => `${entry.name}|${entry.key.id}|${entry.endpoints}|${text}`,
  // The key says all.
  equals: () => true,
});

function placeIn(policies: EndpointPolicy[], policy: EndpointPolicy): number {
  const known = policies.findIndex((other) => isDeepStrictEqual(other, policy));
  return known >= 0 ? known : policies.push(policy) - 1;
}

function sameDirectories(a: OutboundDirectories, b: OutboundDirectories): boolean {
  return sameDirectory(a.cluster, b.cluster) && sameDirectory(a.endpoints, b.endpoints);
}

function samePlaced(a: readonly PlacedEntry[], b: readonly PlacedEntry[]): boolean {
  return (
    a.length === b.length && a.every(({ entry, policy }, at) => entry === b[at]?.entry && policy === b[at]?.policy)
  );
}

/** The labels by which rules of the client's namespace select their clients. */
function relevantLabels(read: Read, { namespace, labels }: OutboundClient): Readonly<Record<string, string>> {
  const chosen = read(selectorLabels, namespace);
  return Object.fromEntries(Object.entries(labels).filter(([label]) => chosen.includes(label)));
}

function placedRefs({ name, key, endpoints }: Omit<ClusterEntry, 'anywhere'>, view: EndpointView): EntryRefs {
  const cluster = refTo(outboundClusterResource, endpoints === 'inline' ? clusterKey({ ...key, view }) : key);
  if (endpoints !== 'eds') return { cluster };
  const { service, port, subset, rule } = key;
  return { cluster, endpoints: refTo(loadAssignment, assignmentKey({ name, service, port, subset, rule, view })) };
}

/** Whether a client is a gateway with AUTO_PASSTHROUGH servers: it has a second cluster for each service. */
function isSniRouter(read: Read, { flavour, namespace, labels }: OutboundClient): boolean {
  return flavour === 'gateway' && passesThrough(read, namespace, labels);
}

interface NamespaceKey {
  readonly namespace: string;
  readonly scope: string;
  readonly listener: number;
  readonly of: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly profile: ClusterProfile;
  readonly sniRouted: boolean;
}

/** Clusters of one namespace's services. */
const namespaceEntries = query<NamespaceKey, readonly ClusterEntry[]>(
  'outbound-entries',
  (read, { namespace, scope, listener, of, labels, profile, sniRouted }) =>
    read(scopeServices, { namespace, scope, listener, of }).flatMap((scoped) =>
      entriesOf(read, { namespace, labels, profile, sniRouted }, scoped),
    ),
  {
    idOf: ({ namespace, scope, listener, of, labels, profile, sniRouted }) =>
      `${namespace}|${scope}|${listener}|${of}|${JSON.stringify(Object.entries(labels))}|${profileId(profile)}|${sniRouted}`,
    equals: sameItems,
  },
);

/** Clusters of a service for clients of a namespace. */
function entriesOf(
  read: Read,
  client: Pick<NamespaceKey, 'namespace' | 'labels' | 'profile' | 'sniRouted'>,
  { service: key, ports }: ScopedService,
): readonly ClusterEntry[] {
  const service = read(services, key);
  if (service === undefined) return [];
  const { namespace, labels, profile, sniRouted } = client;
  const asked = { namespace, hostname: service.hostname, serviceNamespace: service.namespace };
  const rule = appliedRule(read, asked, labels);
  return read(serviceEntries, { service: key, ...(ports === undefined ? {} : { ports }), rule, profile, sniRouted });
}

interface ServiceEntriesKey {
  readonly service: string;
  readonly ports?: readonly number[];
  readonly rule: string;
  readonly profile: ClusterProfile;
  readonly sniRouted: boolean;
}

/** Clusters of one service under the rules that apply: shared by all clients for which those are the same. */
const serviceEntries = query<ServiceEntriesKey, readonly ClusterEntry[]>(
  'service-clusters',
  (read, { service: key, ports, rule, profile, sniRouted }) => {
    const service = read(services, key);
    if (service === undefined || (sniRouted && service.meshExternal)) return [];
    const merged = rule === '' ? undefined : read(mergedRule, rule);
    const subsets = ['', ...(merged?.subsets ?? []).map(({ name }) => name)];
    const numbers = [...new Set(service.ports.filter((port) => port.protocol !== 'udp').map((port) => port.number))];
    return numbers
      .filter((number) => ports === undefined || ports.includes(number))
      .flatMap((port) => subsets.map((subset) => clusterKey({ service: key, port, subset, rule, sniRouted, profile })))
      .flatMap((clusterKey) => entryOf(read, service, clusterKey));
  },
  {
    idOf: ({ service, ports, rule, profile, sniRouted }) =>
      `${service}|${ports?.join() ?? ''}|${rule}|${profileId(profile)}|${sniRouted}`,
    equals: sameEntries,
  },
);

function entryOf(read: Read, service: Service, key: ClusterKey): readonly ClusterEntry[] {
  const port = portOf(service, key.port);
  const discovery = discoveryOf(service.resolution, key.profile.sidecar);
  if (port === undefined || discovery === undefined) return [];
  if (discovery === 'forward' && !(key.profile.sidecar && key.subset === '' && canForward(service, port))) return [];
  if (discovery === 'dns' && !read(hasEndpoints, key)) return [];
  const passthrough = trafficPolicyOf(read, key).loadBalancer?.simple === 'PASSTHROUGH';
  const endpoints = discovery === 'dns' ? 'inline' : discovery === 'eds' && !passthrough ? 'eds' : 'none';
  const policy = read(endpointPolicy, key);
  const entry = { name: clusterNameOf(key, service.hostname), key, endpoints, policy } as const;
  return [isPlaceless(policy) ? { ...entry, anywhere: placedRefs(entry, anywhere) } : entry];
}

/** A forward proxy needs the host of each request: of HTTP, or of a TLS handshake. */
function canForward(service: Service, port: ServicePort): boolean {
  return service.hostname.startsWith('*') && (isHttp(port.protocol) || port.protocol === 'tls');
}

/** Whether a port or subset has any endpoint: apart from which, so that most changes stop here. */
const hasEndpoints = query<ClusterKey, boolean>(
  'has-endpoints',
  (read, { service, port, subset, rule }) => {
    const labels = subsetLabels(read, rule, subset);
    if (labels === undefined) return false;
    return read(serviceEndpoints, { service, port }).some((endpoint) => selects(labels, endpoint.labels));
  },
  { idOf: ({ service, port, subset, rule }) => `${service}|${port}|${subset}|${rule}` },
);

/** Policies and keys say all: the cells follow from them. */
function sameEntries(a: readonly ClusterEntry[], b: readonly ClusterEntry[]): boolean {
  return (
    a.length === b.length &&
    a.every((entry, at) => {
      const other = b[at] as ClusterEntry;
      const sameKey = entry.name === other.name && entry.key.id === other.key.id;
      return sameKey && entry.endpoints === other.endpoints && isDeepStrictEqual(entry.policy, other.policy);
    })
  );
}

function sameItems(a: readonly ClusterEntry[], b: readonly ClusterEntry[]): boolean {
  return a.length === b.length && a.every((entry, at) => entry === b[at]);
}
