// Endpoints of sidecars' and gateways' clusters: by the same list as the clusters.
import type { Read } from '../../graph/graph.ts';
import { defineTranslator, type ResourceRef, refTo } from '../translator.ts';
import type { EndpointClient } from './endpoint-view.ts';
import { emptyAssignment } from './load-assignment.ts';
import { type ClusterEntry, type OutboundClient, outboundDirectory, visitEntries } from './outbound-entries.ts';

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
  list: (read, client) => outboundDirectory(read, client, 'endpoints'),
  find: (read, client, name) => findAssignment(read, client, name),
});

/** A cluster that carries its endpoints has no assignment; a name that nobody knows has an empty one. */
function findAssignment(read: Read, client: OutboundClient & EndpointClient, name: string): ResourceRef | undefined {
  let own: ClusterEntry | undefined;
  visitEntries(read, client, false, (entry) => {
    if (entry.name === name) own ??= entry;
  });
  return own === undefined || own.endpoints === 'eds' ? refTo(emptyAssignment, name) : undefined;
}
