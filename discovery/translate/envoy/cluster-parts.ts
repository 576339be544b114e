// Pieces that several kinds of clusters share: telemetry metadata, the peer metadata filter, DNS settings.
import { create, type JsonObject } from '@bufbuild/protobuf';
import type { MeshConfig } from '../../../config/mesh.ts';
import { type Cluster, Cluster_DnsLookupFamily } from '../../../protos/gen/envoy/config/cluster/v3/cluster_pb.js';
import { type Filter, FilterSchema } from '../../../protos/gen/envoy/config/cluster/v3/filter_pb.js';
import { TypedExtensionConfigSchema } from '../../../protos/gen/envoy/config/core/v3/extension_pb.js';
import { CaresDnsResolverConfigSchema } from '../../../protos/gen/envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver_pb.js';
import type { Service } from '../../model/service.ts';
import type { ProxyClass } from '../../proxy/proxy-class.ts';
import { packed, seconds, typedStruct, wireDuration } from './wire.ts';

/** Exchanges peers' labels over TCP; only istio-proxy has it. */
export function metadataExchangeFilter(): Filter {
  const typedConfig = typedStruct('type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange', {
    enable_discovery: true,
    protocol: 'istio-peer-exchange',
  });
  return create(FilterSchema, { name: 'istio.metadata_exchange', typedConfig });
}

/** What telemetry and tools read of a cluster under the metadata name `istio`. */
export function serviceMetadata(service: Service): JsonObject {
  const name = service.registry === 'External' ? service.hostname : service.name;
  return { host: service.hostname, name, namespace: service.namespace };
}

/** Which records a proxy asks DNS for. */
export function lookupFamily(ipFamily: ProxyClass['ipFamily']): Cluster_DnsLookupFamily {
  if (ipFamily === 'v6') return Cluster_DnsLookupFamily.V6_ONLY;
  return ipFamily === 'dual' ? Cluster_DnsLookupFamily.ALL : Cluster_DnsLookupFamily.V4_ONLY;
}

const udpQueries = 100;

/** DNS settings of clusters that Envoy resolves itself. Sockets are renewed, or one bad source port would stay for good. */
export function applyDns(
  cluster: Cluster,
  config: MeshConfig,
  ipFamily: ProxyClass['ipFamily'],
  features: Readonly<Record<string, string>>,
): void {
  cluster.dnsLookupFamily = lookupFamily(ipFamily);
  cluster.dnsRefreshRate = wireDuration(config.dnsRefreshRate) ?? seconds(60);
  cluster.respectDnsTtl = true;
  const jitter = wireDuration(features['PILOT_DNS_JITTER_DURATION'] ?? '100ms');
  if (jitter !== undefined && (jitter.seconds > 0n || jitter.nanos > 0)) cluster.dnsJitter = jitter;
  const written = Number(features['PILOT_DNS_CARES_UDP_MAX_QUERIES'] ?? udpQueries);
  const udpMaxQueries = Number.isInteger(written) && written >= 0 ? written : udpQueries;
  cluster.typedDnsResolverConfig = create(TypedExtensionConfigSchema, {
    name: 'envoy.network.dns_resolver.cares',
    typedConfig: packed(CaresDnsResolverConfigSchema, { udpMaxQueries }),
  });
}

/**
 * The name in statistics: the cluster's own unless the mesh has a pattern. The semicolon lets the bootstrap's tag
 * expressions find its end.
 */
export function statName(
  pattern: string | undefined,
  name: string,
  service: Service | undefined,
  port: { readonly number: number; readonly name: string; readonly target: number; readonly subset: string },
): string {
  if (!pattern || service === undefined) return `${name};`;
  const parts: Readonly<Record<string, string>> = {
    SERVICE: shortHost(service),
    SERVICE_NAME: service.name,
    SERVICE_FQDN: service.hostname,
    SERVICE_PORT: String(port.number),
    TARGET_PORT: String(port.target),
    SERVICE_PORT_NAME: port.name,
    SUBSET_NAME: port.subset,
  };
  return `${pattern.replaceAll(/%([A-Z_]+)%/g, (whole, part: string) => parts[part] ?? whole)};`;
}

function shortHost(service: Service): string {
  return service.registry === 'Kubernetes' ? `${service.name}.${service.namespace}` : service.hostname;
}
