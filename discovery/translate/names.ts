// Names of resources that Envoy, istioctl and EnvoyFilters know (contract 1.8).

/** Cluster of a service's port, or of a subset of it. */
export function outboundCluster(port: number, subset: string, host: string): string {
  return `outbound|${port}|${subset}|${host}`;
}

/** Cluster of a workload's own port. */
export function inboundCluster(targetPort: number): string {
  return `inbound|${targetPort}||`;
}

/** The server name by which a service's port is reached over mTLS, and the name of its SNI-routed cluster. */
export function sniOf(port: number, subset: string, host: string): string {
  return `outbound_.${port}_.${subset}_.${host}`;
}

/** Where connections without a destination end. */
export const blackHoleCluster = 'BlackHoleCluster';

/** Outbound connections to unknown destinations go to their original address. */
export const passthroughCluster = 'PassthroughCluster';

/** Inbound connections to ports without a service go to their original port. */
export const inboundPassthroughCluster = 'InboundPassthroughCluster';

/** Outbound requests to unknown hosts are resolved by name. */
export const dynamicDnsCluster = 'AllowAnyDynamicDNSCluster';
