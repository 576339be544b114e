// A connected proxy as its Node message describes it.
import type { Locality } from '../model/locality.ts';
import type { Capabilities } from './capabilities.ts';

/** Which translation a proxy gets. */
export type Flavour = 'sidecar' | 'gateway' | 'grpc';

/** How a sidecar's traffic reaches it. */
export type Interception = 'REDIRECT' | 'TPROXY' | 'NONE';

/** A proxy, parsed and checked from the first request's Node (contract 1.6). Everything is known before the model is asked. */
export interface Proxy {
  /** node.id, unique per proxy. */
  readonly nodeId: string;
  readonly flavour: Flavour;
  /** Its addresses, the first one being the primary. */
  readonly ipAddresses: readonly string[];
  /** Name and namespace of the workload's pod, from node.id. */
  readonly workload: { readonly name: string; readonly namespace: string };
  /** The namespace that decides visibility and policy scope (metadata NAMESPACE, else from the DNS domain). */
  readonly namespace: string;
  readonly dnsDomain: string;
  /** Labels by metadata; the registry's labels take precedence where the workload is known there. */
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly cluster: string;
  readonly network: string;
  readonly nodeName: string;
  readonly locality: Locality;
  readonly interception: Interception;
  readonly capabilities: Capabilities;
  /** Listener and TLS settings that come as node metadata. */
  readonly settings: ProxySettings;
}

/** Node metadata that changes what is generated (contract 1.6); absent where unset. */
export interface ProxySettings {
  /** HTTP_PROXY_PORT: an explicit forward-proxy listener. */
  readonly httpProxyPort?: number;
  /** IDLE_TIMEOUT of TCP proxies, in milliseconds. */
  readonly idleTimeoutMs?: number;
  readonly http10?: boolean;
  readonly exactBalanceInbound?: boolean;
  readonly exactBalanceOutbound?: boolean;
  /** UNPRIVILEGED_POD: ports below 1024 cannot be bound. */
  readonly unprivileged?: boolean;
  readonly dnsCapture?: boolean;
  readonly dnsAutoAllocate?: boolean;
  /** POD_PORTS: named target ports where the pod is not in the registry. */
  readonly podPorts?: Readonly<Record<string, number>>;
  /** Certificates mounted as files instead of SDS. */
  readonly tlsServer?: TlsFiles;
  readonly tlsClient?: TlsFiles;
  /** Canonical JSON of the proxy's own ProxyConfig (metadata PROXY_CONFIG), which overlays the mesh's defaultConfig. */
  readonly proxyConfig?: string;
  /** MESH_ID, which traces name. */
  readonly meshId?: string;
  /** REQUESTED_NETWORK_VIEW: endpoints of other networks are left out. */
  readonly networkView?: readonly string[];
  /** Any metadata key a test or EnvoyFilter may ask for, by name; only string values. */
  readonly istioVersion?: string;
  readonly enableHbone?: boolean;
}

/** Paths in the proxy's file system. */
export interface TlsFiles {
  readonly certChain: string;
  readonly key: string;
  readonly rootCert: string;
}
