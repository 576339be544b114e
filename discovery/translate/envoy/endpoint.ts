// Endpoints of sidecars' and gateways' clusters: by the same list as the clusters.
import type { Read } from '../../graph/graph.ts';
import { defineTranslator, type ResourceRef, refTo } from '../translator.ts';
import { type EndpointClient, viewOf } from './endpoint-view.ts';
import { emptyAssignment, loadAssignment } from './load-assignment.ts';
import { type ClusterEntry, type OutboundClient, outboundEntries, sniRoutedEntries } from './outbound-entries.ts';

/** Endpoints for proxies of every flavour that is an Envoy. */
export const envoyEndpoints = defineTranslator('endpoint', {
  type: 'endpoint',
  facets: [
    'flavour',
    'capabilities',
    'namespace',
    'labels',
    'scope',
    'ipFamily',
    'settings',
    'locality',
    'network',
    'cluster',
    'nodeName',
  ],
  list: (read, client) => {
    const all = [...outboundEntries(read, client), ...sniRoutedEntries(read, client)];
    const entries = all.filter((entry) => entry.endpoints === 'eds');
    return new Map(entries.map((entry) => [entry.name, assignmentRef(read, entry, client)]));
  },
  find: (read, client, name) => findAssignment(read, client, name),
});

/** Cell of a cluster's endpoints. */
export function assignmentRef(read: Read, entry: ClusterEntry, client: EndpointClient): ResourceRef {
  const { service, port, subset, rule } = entry.key;
  const view = viewOf(read, entry.policy, client);
  return refTo(loadAssignment, { name: entry.name, service, port, subset, rule, view });
}

/** A cluster that carries its endpoints has no assignment; a name that nobody knows has an empty one. */
function findAssignment(read: Read, client: OutboundClient & EndpointClient, name: string): ResourceRef | undefined {
  const known = outboundEntries(read, client).some((entry) => entry.name === name && entry.endpoints !== 'eds');
  return known ? undefined : refTo(emptyAssignment, name);
}
