// Endpoints of sidecars' and gateways' clusters: by the same list as the clusters.
import { layered } from '../layered-directory.ts';
import { defineTranslator, refTo } from '../translator.ts';
import { emptyAssignment } from './load-assignment.ts';
import { hasInlineCluster, outboundDirectory } from './outbound-entries.ts';

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
    const { shared, own } = outboundDirectory(read, client, 'endpoints');
    return layered(shared, own);
  },
  // A cluster that carries its endpoints has no assignment; a name that nobody knows has an empty one.
  find: (read, client, name) => (hasInlineCluster(read, client, name) ? undefined : refTo(emptyAssignment, name)),
});
