// Clusters and endpoints of proxyless gRPC, which asks for each by name and knows only a few of a cluster's settings.
import { create, toBinary } from '@bufbuild/protobuf';
import type { LoadBalancerSettings } from '../../../config/kinds/destination-rule.ts';
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from '../../../protos/gen/envoy/config/cluster/v3/cluster_pb.js';
import type { TransportSocket } from '../../../protos/gen/envoy/config/core/v3/base_pb.js';
import { UpstreamTlsContextSchema } from '../../../protos/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import type { Read } from '../../graph/graph.ts';
import { appliedRule } from '../../model/destination-rules.ts';
import { serverNames } from '../../model/service-endpoints.ts';
import { services } from '../../model/services.ts';
import { mergedRule, trafficPolicyOf } from '../../model/traffic-policy.ts';
import { encodeResource } from '../../resource.ts';
import { typeUrls } from '../../xds-types.ts';
import { applyBalancer } from '../envoy/cluster-balancing.ts';
import { circuitBreakers } from '../envoy/cluster-options.ts';
import { endpointPolicy, viewOf } from '../envoy/endpoint-view.ts';
import { assignmentKey, emptyAssignment, loadAssignment } from '../envoy/load-assignment.ts';
import { adsSource, workloadCertificate, workloadRoots } from '../envoy/sds.ts';
import { socketOf } from '../envoy/upstream-tls.ts';
import { packed } from '../envoy/wire.ts';
import { outboundCluster, sniOf } from '../names.ts';
import { defineTranslator, refTo, resourceQuery } from '../translator.ts';
import { type GrpcClient, outboundTargetOf } from './target.ts';

/** Clusters of proxyless gRPC. */
export const grpcClusters = defineTranslator('grpc-clusters', {
  type: 'cluster',
  facets: ['namespace', 'scope', 'dnsDomain', 'labels'],
  list: () => new Map(),
  find: (read, client, name) => {
    const key = clusterKeyOf(read, client, name);
    return key === undefined ? undefined : refTo(grpcCluster, key);
  },
});

/** Endpoints of proxyless gRPC. An unknown name gets an empty answer, so that nobody waits for it. */
export const grpcEndpoints = defineTranslator('grpc-endpoints', {
  type: 'endpoint',
  facets: ['namespace', 'scope', 'dnsDomain', 'labels', 'locality', 'network', 'cluster', 'nodeName', 'settings'],
  list: () => new Map(),
  find: (read, client, name) => {
    const key = clusterKeyOf(read, client, name);
    if (key === undefined) return refTo(emptyAssignment, name);
    const view = viewOf(read, read(endpointPolicy, key), client);
    return refTo(loadAssignment, assignmentKey({ ...key, name, view, socketsOnly: true }));
  },
});

interface GrpcClusterKey {
  readonly service: string;
  readonly port: number;
  readonly subset: string;
  readonly rule: string;
}

type ClusterClient = GrpcClient & { readonly labels: Readonly<Record<string, string>> };

/** The cluster that a name stands for; undefined for services, ports and subsets that do not exist. */
function clusterKeyOf(read: Read, client: ClusterClient, name: string): GrpcClusterKey | undefined {
  const target = outboundTargetOf(read, client, name);
  if (target === undefined) return undefined;
  const { service, port, subset } = target;
  const { hostname, namespace: serviceNamespace } = service;
  const rule = appliedRule(read, { namespace: client.namespace, hostname, serviceNamespace }, client.labels);
  if (subset !== '') {
    const known = rule === '' ? undefined : read(mergedRule, rule)?.subsets.some((one) => one.name === subset);
    if (known !== true) return undefined;
  }
  return { service: service.key, port, subset, rule };
}

const grpcCluster = resourceQuery<GrpcClusterKey>(
  'grpc-cluster',
  ({ service, port, subset, rule }) => `${service}|${port}|${subset}|${rule}`,
  (read, key) => {
    const service = read(services, key.service);
    if (service === undefined) return undefined;
    const name = outboundCluster(key.port, key.subset, service.hostname);
    const policy = trafficPolicyOf(read, key);
    const cluster = create(ClusterSchema, {
      name,
      clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.EDS },
      edsClusterConfig: { serviceName: name, edsConfig: adsSource() },
    });
    balance(cluster, policy.loadBalancer);
    if ((policy.connectionPool?.http?.http2MaxRequests ?? 0) > 0) {
      cluster.circuitBreakers = circuitBreakers({
        http: { http2MaxRequests: policy.connectionPool?.http?.http2MaxRequests as number },
      });
    }
    // Automatic mTLS cannot be: gRPC has no choice by endpoint, only one for the whole cluster.
    if (policy.tls?.mode === 'ISTIO_MUTUAL') {
      const own = policy.tls.subjectAltNames ?? [];
      const names = own.length > 0 ? own : read(serverNames, key.service);
      cluster.transportSocket = mutualTls(policy.tls.sni || sniOf(key.port, key.subset, service.hostname), names);
    }
    return encodeResource(typeUrls.cluster, name, toBinary(ClusterSchema, cluster));
  },
);

/** gRPC refuses clusters with a policy that it does not know: round robin, least request, ring hash are all there is. */
function balance(cluster: Cluster, settings: LoadBalancerSettings | undefined): void {
  const hash = settings?.consistentHash;
  if (hash !== undefined && hash.maglev === undefined) {
    applyBalancer(cluster, { consistentHash: hash });
  } else {
    const least = settings?.simple === 'LEAST_REQUEST' || settings?.simple === 'LEAST_CONN';
    cluster.lbPolicy = least ? Cluster_LbPolicy.LEAST_REQUEST : Cluster_LbPolicy.ROUND_ROBIN;
  }
}

/** Certificates come from the provider `default` of gRPC's bootstrap; older clients know only the former fields. */
function mutualTls(sni: string, names: readonly string[]): TransportSocket {
  const own = { instanceName: 'default', certificateName: workloadCertificate };
  const roots = { instanceName: 'default', certificateName: workloadRoots };
  const context = create(UpstreamTlsContextSchema, {
    sni,
    commonTlsContext: {
      tlsCertificateProviderInstance: own,
      tlsCertificateCertificateProviderInstance: own,
      validationContextType: {
        case: 'combinedValidationContext',
        value: {
          defaultValidationContext: {
            matchSubjectAltNames: names.map((value) => ({ matchPattern: { case: 'exact' as const, value } })),
            caCertificateProviderInstance: roots,
          },
          validationContextCertificateProviderInstance: roots,
        },
      },
    },
  });
  return socketOf('envoy.transport_sockets.tls', packed(UpstreamTlsContextSchema, context));
}
