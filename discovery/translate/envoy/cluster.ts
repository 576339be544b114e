// Clusters of sidecars and gateways: lists of names and cells; the clusters themselves are built next door.
import { sidecarScope } from '../../model/sidecar-scope.ts';
import type { ProxyClass } from '../../proxy/proxy-class.ts';
import { layered } from '../layered-directory.ts';
import { blackHoleCluster, dynamicDnsCluster, inboundPassthroughCluster, passthroughCluster } from '../names.ts';
import { defineTranslator, type ResourceRef, refTo } from '../translator.ts';
import { outboundDirectories } from './cluster-directories.ts';
import { inboundClusterResource, inboundEntries } from './inbound-clusters.ts';
import { staticCluster } from './static-clusters.ts';

const outboundFacets = [
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
] as const;

/** Clusters of sidecars: outbound, inbound, and those for traffic that no service claims. */
export const sidecarClusters = defineTranslator('sidecar-cluster', {
  type: 'cluster',
  facets: [...outboundFacets, 'targets', 'interception', 'addresses'],
  list: (read, client) => {
    const own = new Map<string, ResourceRef>();
    for (const [name, key] of inboundEntries(read, client)) own.set(name, refTo(inboundClusterResource, key));
    const fixed = [blackHoleCluster, passthroughCluster, inboundPassthroughCluster];
    const { mode } = read(sidecarScope, client).outboundTrafficPolicy;
    if (mode === 'ALLOW_ANY_DYNAMIC_DNS') fixed.push(dynamicDnsCluster);
    for (const name of fixed) own.set(name, fixedRef(name, client));
    return layered(outboundDirectories(read, client).cluster, own);
  },
});

/**
 * Clusters of gateways. They have no original destinations, hence nothing to pass through to. Those that route by
 * server name have a second cluster for each service.
 */
export const gatewayClusters = defineTranslator('gateway-cluster', {
  type: 'cluster',
  facets: outboundFacets,
  list: (read, client) => {
    const own = new Map([[blackHoleCluster, fixedRef(blackHoleCluster, client)]]);
    return layered(outboundDirectories(read, client).cluster, own);
  },
});

function fixedRef(name: string, client: Pick<ProxyClass, 'capabilities' | 'ipFamily'>): ResourceRef {
  const { capabilities, ipFamily } = client;
  return refTo(staticCluster, { name, istioFilters: capabilities.istioFilters, ipFamily });
}
