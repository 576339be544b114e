// What filters may know of the connection that they are made for: the same for sidecars and gateways.

/** Which way traffic goes: out of a workload, into it, or through a gateway. */
export type Direction = 'outbound' | 'inbound' | 'gateway';

/** What spans say of the proxy. */
export interface SpanTags {
  readonly service: string;
  readonly revision: string;
  readonly cluster: string;
  readonly mesh: string;
  readonly namespace: string;
}

/** Hosts that are resolved when requests come, through a cache of that name (envoy dynamic_forward_proxy). */
export interface DynamicDns {
  readonly cache: string;
  readonly family: 'v4' | 'v6' | 'dual';
  readonly maxHosts?: number;
}

/** A proxy, as far as its filters differ by it. Plain data, so that it can be part of a key. */
export interface FilterClient {
  /** Whether the proxy has Istio's own filters. */
  readonly istioFilters: boolean;
  /** The key of `proxyConfigOf`. */
  readonly proxyConfig: string;
  readonly http10: boolean;
  /** Absent while the mesh does not trace. */
  readonly spans?: SpanTags;
}

/** One HTTP connection manager, as far as its filters differ by it. */
export interface HttpFilterContext extends FilterClient {
  readonly direction: Direction;
  readonly grpcWeb: boolean;
  readonly dynamicDns?: DynamicDns;
}
