// Who a proxy says it is: the xDS node's id, metadata and locality, as istiod's clients send them.
import type { Json } from './bootstrap-address.ts';
import { compareText } from './object.ts';

/** A proxy's identity and traits; all of it reaches the control plane in the first xDS request. */
export interface NodeOptions {
  readonly nodeType: 'sidecar' | 'router' | 'waypoint';
  /** The workload's address; more of them (dual stack) in `instanceIps`. */
  readonly address: string;
  readonly instanceIps?: readonly string[];
  readonly podName: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Default `Kubernetes`. */
  readonly clusterId?: string;
  readonly network?: string;
  readonly meshId?: string;
  /** Default `cluster.local`. */
  readonly clusterDomain?: string;
  readonly workloadName?: string;
  readonly nodeName?: string;
  readonly locality?: { readonly region?: string; readonly zone?: string; readonly subZone?: string };
  /** `NONE` binds real ports and uses no packet redirection; default `REDIRECT`. */
  readonly interceptionMode?: 'REDIRECT' | 'TPROXY' | 'NONE';
  /** ProxyConfig in proto JSON; its presence is how `status` tells a proxy from other clients. */
  readonly proxyConfig?: { readonly [key: string]: Json };
  /** Further metadata, winning over the ones made here. */
  readonly metadata?: { readonly [key: string]: Json };
}

/** The Node message in JSON (envoy.config.core.v3.Node). */
export function nodeOf(options: NodeOptions): { readonly [key: string]: Json } {
  const domain = `${options.namespace}.svc.${options.clusterDomain ?? 'cluster.local'}`;
  return {
    id: `${options.nodeType}~${options.address}~${options.podName}.${options.namespace}~${domain}`,
    cluster: `${serviceOf(options)}.${options.namespace}`,
    metadata: metadataOf(options),
    ...localityOf(options),
  };
}

function serviceOf(options: NodeOptions): string {
  const { labels } = options;
  return (
    labels['service.istio.io/canonical-name'] ??
    labels['app.kubernetes.io/name'] ??
    labels['app'] ??
    options.workloadName ??
    options.podName
  );
}

function metadataOf(options: NodeOptions): { readonly [key: string]: Json } {
  const metadata: Record<string, Json> = {
    NAME: options.podName,
    NAMESPACE: options.namespace,
    SERVICE_ACCOUNT: options.serviceAccount,
    INSTANCE_IPS: (options.instanceIps ?? [options.address]).join(','),
    CLUSTER_ID: options.clusterId ?? 'Kubernetes',
    INTERCEPTION_MODE: options.interceptionMode ?? 'REDIRECT',
    LABELS: sorted(options.labels),
    PROXY_CONFIG: options.proxyConfig ?? {},
    ...(options.annotations === undefined ? {} : { ANNOTATIONS: sorted(options.annotations) }),
    ...(options.network === undefined ? {} : { NETWORK: options.network }),
    ...(options.meshId === undefined ? {} : { MESH_ID: options.meshId }),
    ...(options.workloadName === undefined ? {} : { WORKLOAD_NAME: options.workloadName }),
    ...(options.nodeName === undefined ? {} : { NODE_NAME: options.nodeName }),
    ...options.metadata,
  };
  return sorted(metadata);
}

function localityOf(options: NodeOptions): { readonly [key: string]: Json } {
  const { region, zone, subZone } = options.locality ?? {};
  if (region === undefined && zone === undefined && subZone === undefined) return {};
  return {
    locality: {
      ...(region === undefined ? {} : { region }),
      ...(zone === undefined ? {} : { zone }),
      ...(subZone === undefined ? {} : { sub_zone: subZone }),
    },
  };
}

function sorted<T>(map: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => compareText(a, b)));
}
