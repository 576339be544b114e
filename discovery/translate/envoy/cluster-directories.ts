// The cells of a client's outbound clusters and of their endpoints, in layers that clients share: one list for both.
import { isDeepStrictEqual } from 'node:util';
import { query, type Read } from '../../graph/graph.ts';
import { passesThrough } from '../../model/auto-passthrough.ts';
import { selectorLabels } from '../../model/destination-rules.ts';
import { routedServices } from '../../model/routed-services.ts';
import { sidecarScope } from '../../model/sidecar-scope.ts';
import type { ProxyClass } from '../../proxy/proxy-class.ts';
import { layered } from '../layered-directory.ts';
import { type Directory, type ResourceRef, sameDirectory } from '../translator.ts';
import { type ClusterProfile, profileId, profileOf } from './cluster-key.ts';
import {
  anywhere,
  type EndpointClient,
  type EndpointPolicy,
  type EndpointView,
  isNetworked,
  viewId,
  viewOf,
} from './endpoint-view.ts';
import { type ClusterEntry, type EntryRefs, placedRefs, visitEntries } from './outbound-entries.ts';

/** The client as the list needs it. */
export type OutboundClient = Pick<
  ProxyClass,
  'flavour' | 'capabilities' | 'namespace' | 'labels' | 'scope' | 'ipFamily' | 'settings'
>;

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

/** Whether a client is a gateway with AUTO_PASSTHROUGH servers: it has a second cluster for each service. */
function isSniRouter(read: Read, { flavour, namespace, labels }: OutboundClient): boolean {
  return flavour === 'gateway' && passesThrough(read, namespace, labels);
}
