// Clusters and endpoints that proxyless gRPC asks for.
import { describe, expect, it } from 'vitest';
import { nodes, pods, rule, spread, view, web, webCluster } from '../../../test/support/cluster-world.ts';
import { jsonOf } from '../../../test/support/world.ts';
import { findResource } from '../../dump.ts';

describe('proxyless gRPC', () => {
  const grpc = { flavour: 'grpc' as const };

  it('gets the clusters and endpoints that it names', () => {
    const { graph, client } = view([web, ...nodes, ...pods], grpc);
    const cluster = findResource(graph, client, 'cluster', webCluster);
    expect(cluster === undefined ? undefined : jsonOf(cluster)).toEqual({
      name: webCluster,
      type: 'EDS',
      edsClusterConfig: { serviceName: webCluster, edsConfig: { ads: {}, resourceApiVersion: 'V3' } },
    });
    expect(spread({ graph, client, clusters: new Map() })).toHaveLength(3);
    expect(findResource(graph, client, 'cluster', 'outbound|81||web.default.svc.cluster.local')).toBeUndefined();
  });

  it('gets certificates from its own provider, and only where a rule asks for mTLS', () => {
    const trafficPolicy = { tls: { mode: 'ISTIO_MUTUAL' } };
    const { graph, client } = view([web, ...pods, rule({ host: 'web', trafficPolicy })], grpc);
    const cluster = findResource(graph, client, 'cluster', webCluster);
    expect(JSON.stringify(cluster === undefined ? {} : jsonOf(cluster))).toContain('tlsCertificateProviderInstance');
  });
});
