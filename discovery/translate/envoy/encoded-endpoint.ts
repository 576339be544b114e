// Endpoints as they stand on the wire, encoded once for all clients and subsets.
import { create, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { HealthStatus } from '../../../protos/gen/envoy/config/core/v3/health_check_pb.js';
import { LbEndpointSchema } from '../../../protos/gen/envoy/config/endpoint/v3/endpoint_components_pb.js';
import { query, type Read } from '../../graph/graph.ts';
import type { Endpoint, Health } from '../../model/endpoint.ts';
import { mtlsModeOf, namespaceMtls } from '../../model/mtls.ts';
import { serviceEndpoints } from '../../model/service-endpoints.ts';
import { joinBytes } from '../../resource.ts';

/** An endpoint with its frame: the serialised LbEndpoint with its own weight. */
export interface EncodedEndpoint {
  readonly endpoint: Endpoint;
  /** Whether clients may speak Istio mTLS to it. */
  readonly mtls: boolean;
  readonly weight: number;
  /** Frames of the endpoints of a port one after the other, one block of memory instead of one for each. */
  readonly frames: Uint8Array;
  /** Where its frame begins and ends in them. */
  readonly from: number;
  readonly to: number;
}

/** TLS that a rule asks for: none of its own, Istio's, or anything else, under which nobody speaks mTLS. */
export type RuledTls = 'unruled' | 'istio' | 'other';

/** All endpoints of a port, under the TLS that a rule may impose on them. */
export const encodedEndpoints = query<
  { readonly service: string; readonly port: number; readonly tls: RuledTls },
  readonly EncodedEndpoint[]
>(
  'encoded-endpoints',
  (read, { service, port, tls }) => {
    const encoded = read(serviceEndpoints, { service, port }).map((endpoint) => {
      const mtls = takesMtls(read, endpoint, tls);
      const weight = endpoint.weight > 0 ? endpoint.weight : 1;
      return { endpoint, mtls, weight, frame: encode(endpoint, mtls, weight) };
    });
    const frames = joinBytes(encoded.map(({ frame }) => frame));
    let from = 0;
    return encoded.map(({ endpoint, mtls, weight, frame }) => {
      const to = from + frame.length;
      const one = { endpoint, mtls, weight, frames, from, to };
      from = to;
      return one;
    });
  },
  { idOf: ({ service, port, tls }) => `${service}|${port}|${tls}` },
);

/** The frame of an endpoint with a weight that may differ from its own. */
export function weighted(member: { readonly encoded: EncodedEndpoint; readonly weight: number }): Uint8Array {
  const { encoded, weight } = member;
  const { frames, from, to } = encoded;
  return weight === encoded.weight ? frames.subarray(from, to) : encode(encoded.endpoint, encoded.mtls, weight);
}

/** Serialises an LbEndpoint. */
export function encode(endpoint: Endpoint, mtls: boolean, weight: number): Uint8Array {
  const filterMetadata: Record<string, JsonObject> = {};
  if (mtls) filterMetadata['envoy.transport_socket_match'] = { tlsMode: 'istio' };
  filterMetadata['istio'] = { workload: workloadText(endpoint) };
  const message = create(LbEndpointSchema, {
    hostIdentifier: { case: 'endpoint', value: { address: addressOf(endpoint) } },
    healthStatus: healthStatuses[endpoint.health],
    loadBalancingWeight: weight,
    metadata: { filterMetadata },
  });
  return toBinary(LbEndpointSchema, message);
}

const healthStatuses: Readonly<Record<Health, HealthStatus>> = {
  healthy: HealthStatus.HEALTHY,
  unhealthy: HealthStatus.UNHEALTHY,
  draining: HealthStatus.DRAINING,
  unknown: HealthStatus.UNKNOWN,
};

function addressOf({ address, port }: Endpoint) {
  if (address.startsWith('unix://')) {
    return { address: { case: 'pipe' as const, value: { path: address.slice('unix://'.length) } } };
  }
  return {
    address: {
      case: 'socketAddress' as const,
      value: { address, portSpecifier: { case: 'portValue' as const, value: port } },
    },
  };
}

/** `name;namespace;canonical name;canonical revision;cluster`, which istio.stats reads. */
function workloadText({ workloadName, namespace, labels, cluster }: Endpoint): string {
  const name =
    labels['service.istio.io/canonical-name'] ?? labels['app.kubernetes.io/name'] ?? labels['app'] ?? workloadName;
  const revision =
    labels['service.istio.io/canonical-revision'] ??
    labels['app.kubernetes.io/version'] ??
    labels['version'] ??
    'latest';
  return [workloadName, namespace, name, revision === 'latest' ? '' : revision, cluster].join(';');
}

/**
 * Whether clients may speak Istio mTLS to an endpoint: a rule's TLS mode decides where there is one, else what the
 * workload can do and what its policy accepts. Decided for each endpoint, since some may lack a sidecar.
 */
function takesMtls(read: Read, endpoint: Endpoint, tls: RuledTls): boolean {
  if (endpoint.tlsMode !== 'istio') return false;
  if (tls !== 'unruled') return tls === 'istio';
  return mtlsModeOf(read(namespaceMtls, endpoint.namespace), endpoint.labels, endpoint.port) !== 'DISABLE';
}
