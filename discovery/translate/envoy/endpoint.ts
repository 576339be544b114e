// Endpoints of sidecars' and gateways' clusters: by the same list as the clusters.
import { defineTranslator, refTo } from '../translator.ts';
import { hasInlineCluster, outboundDirectories } from './cluster-directories.ts';
import { emptyAssignment } from './load-assignment.ts';

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
  list: (read, client) => outboundDirectories(read, client).endpoints,
  // A cluster that carries its endpoints has no assignment; a name that nobody knows has an empty one.
  find: (read, client, name) => (hasInlineCluster(read, client, name) ? undefined : refTo(emptyAssignment, name)),
});
