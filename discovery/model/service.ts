// A service of the mesh: one host with ports, from a Kubernetes Service or a ServiceEntry.
import type { ExportTo } from '../../config/export-to.ts';
import type { ObjectRef } from '../../config/object.ts';
import type { TrafficDistribution } from '../../config/rules/traffic-distribution.ts';

/** Application protocol of a port (contract 4.5): by appProtocol, then the port name's prefix, else `auto` (sniffed). */
export type Protocol =
  | 'http'
  | 'http2'
  | 'grpc'
  | 'grpc-web'
  | 'https'
  | 'tls'
  | 'tcp'
  | 'mongo'
  | 'mysql'
  | 'redis'
  | 'hbone'
  | 'udp'
  | 'auto';

/** A port of a service. */
export interface ServicePort {
  readonly number: number;
  readonly name: string;
  readonly protocol: Protocol;
  /** Number or name as written; absent means the port's own number. Endpoints carry the resolved number. */
  readonly targetPort?: number | string;
}

/**
 * How a proxy finds the service's endpoints: `endpoints` by EDS, `dns` and `dns-round-robin` by Envoy's resolver,
 * `passthrough` by the original destination, `dynamic-dns` by a forward proxy, `alias` is an ExternalName.
 */
export type Resolution = 'endpoints' | 'dns' | 'dns-round-robin' | 'passthrough' | 'dynamic-dns' | 'alias';

/** One service. Two ServiceEntries may define the same host in different namespaces: the key tells them apart. */
export interface Service {
  /** `namespace/hostname`. */
  readonly key: string;
  /** Lower-case FQDN, or a wildcard host such as `*.example.com`. */
  readonly hostname: string;
  readonly namespace: string;
  /** Name of the object it comes from. */
  readonly name: string;
  readonly registry: 'Kubernetes' | 'External';
  readonly resolution: Resolution;
  readonly ports: readonly ServicePort[];
  /** Virtual addresses and CIDRs by which clients reach it, sorted as declared; empty where it has none (headless, ExternalName, most ServiceEntries). */
  readonly addresses: readonly string[];
  /** Addresses of its own allocation (240.240/16, 2001:2::/48), used only by proxies that capture DNS. */
  readonly autoAddresses: readonly string[];
  readonly headless: boolean;
  readonly meshExternal: boolean;
  readonly exportTo: ExportTo;
  /** Target host of an ExternalName alias. */
  readonly externalName?: string;
  readonly creationTimestamp: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Pod selector of a Kubernetes Service or workloadSelector of a ServiceEntry; absent where it selects nothing. */
  readonly selector?: Readonly<Record<string, string>>;
  /** SANs that servers may have beside the identities of their workloads, of the ServiceEntries of its host and namespace. */
  readonly subjectAltNames: readonly string[];
  /** spec.trafficDistribution, or the annotation of the object or its namespace. */
  readonly trafficDistribution: TrafficDistribution;
  /** spec.internalTrafficPolicy: Local. */
  readonly nodeLocal: boolean;
  readonly publishNotReady: boolean;
  /** Addresses and host names outside of the cluster, of a load balancer, spec.externalIPs or nodes: how other networks reach a gateway. */
  readonly externalAddresses: readonly string[];
  /** Ports at those addresses by the service's own, where they differ: of nodes. */
  readonly externalPorts: Readonly<Record<number, number>>;
  /** The object that decides, and of ServiceEntries that share host and namespace the others, oldest first. */
  readonly source: ObjectRef;
  readonly sources: readonly ObjectRef[];
  /**
   * What each ServiceEntry of several that share host and namespace defines itself, in the order of the sources; absent
   * where there is one. Its endpoints and selected workloads serve its own ports (`partsOf`).
   */
  readonly parts?: readonly Service[];
}
