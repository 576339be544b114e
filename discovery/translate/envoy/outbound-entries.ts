// Which outbound clusters clients of a namespace and scope have, before it is known where they are.
import { isDeepStrictEqual } from 'node:util';
import { query, type Read } from '../../graph/graph.ts';
import { appliedRule } from '../../model/destination-rules.ts';
import { isHttp } from '../../model/protocol.ts';
import { routedServices } from '../../model/routed-services.ts';
import { type ScopedService, scopeServices, serviceNamespaces } from '../../model/scope-services.ts';
import type { Service, ServicePort } from '../../model/service.ts';
import { portOf, serviceEndpoints } from '../../model/service-endpoints.ts';
import { services } from '../../model/services.ts';
import { sidecarScope } from '../../model/sidecar-scope.ts';
import { mergedRule, trafficPolicyOf } from '../../model/traffic-policy.ts';
import { selects } from '../../model/workload.ts';
import { type ResourceRef, refTo } from '../translator.ts';
import { type ClusterKey, type ClusterProfile, clusterKey, profileId } from './cluster-key.ts';
import { anywhere, type EndpointPolicy, type EndpointView, endpointPolicy, isPlaceless } from './endpoint-view.ts';
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

/**
 * Visits the outbound clusters of clients. A name may come twice, from two listeners or namespaces: then the first one
 * counts.
 */
export function visitEntries(
  read: Read,
  key: Pick<NamespaceKey, 'namespace' | 'scope' | 'labels' | 'profile'>,
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

/** The cells of an entry for clients of a place. */
export function placedRefs({ name, key, endpoints }: Omit<ClusterEntry, 'anywhere'>, view: EndpointView): EntryRefs {
  const cluster = refTo(outboundClusterResource, endpoints === 'inline' ? clusterKey({ ...key, view }) : key);
  if (endpoints !== 'eds') return { cluster };
  const { service, port, subset, rule } = key;
  return { cluster, endpoints: refTo(loadAssignment, assignmentKey({ name, service, port, subset, rule, view })) };
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
