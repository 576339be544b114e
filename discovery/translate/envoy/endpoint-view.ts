// What of a client's place decides which endpoints of a service it gets, and in which order.
import type { LocalityLbSetting } from '../../../config/kinds/common.ts';
import { query, type Read } from '../../graph/graph.ts';
import type { Locality } from '../../model/locality.ts';
import { networkLabel } from '../../model/network.ts';
import { networkGateways } from '../../model/network-gateways.ts';
import { nodeNameLabel } from '../../model/node-locality.ts';
import { mesh } from '../../model/objects.ts';
import type { Service } from '../../model/service.ts';
import { services } from '../../model/services.ts';
import { trafficPolicyOf } from '../../model/traffic-policy.ts';
import type { ProxyClass } from '../../proxy/proxy-class.ts';
import type { RuledTls } from './encoded-endpoint.ts';

/** The client's place, cut down to what a service's settings look at. Absent parts do not matter. */
export interface EndpointView {
  readonly locality?: Locality;
  /** Labels that failover compares. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly network?: string;
  readonly networkView?: readonly string[];
  readonly nodeName?: string;
}

/** How the endpoints of a service's port are ranked and chosen, before the client is known. */
export interface EndpointPolicy {
  /** Locality settings in force; absent where localities are of no account. */
  readonly locality?: LocalityLbSetting;
  /** Whether lower priorities are ever reached: they are not without outlier detection. */
  readonly failover: boolean;
  /** Only endpoints of the client's node. */
  readonly nodeLocal: boolean;
  /** Endpoints known to be unhealthy are left out instead of being marked. */
  readonly healthyOnly: boolean;
  /** TLS that the rules ask for. */
  readonly tls: RuledTls;
}

/** Which port and subset under which rules. */
export interface EndpointPolicyKey {
  readonly service: string;
  readonly port: number;
  readonly subset: string;
  readonly rule: string;
}

/** The policy of a service's port. */
export const endpointPolicy = query<EndpointPolicyKey, EndpointPolicy>(
  'endpoint-policy',
  (read, { service: key, port, subset, rule }) => {
    const service = read(services, key);
    const policy = trafficPolicyOf(read, { rule, port, subset });
    const { setting, always } = localitySetting(
      policy.loadBalancer?.localityLbSetting,
      service,
      read(mesh, 'mesh').localityLbSetting,
    );
    return {
      failover: always || policy.outlierDetection !== undefined,
      nodeLocal: service?.nodeLocal ?? false,
      healthyOnly: (policy.outlierDetection?.minHealthPercent ?? 0) > 0,
      tls: policy.tls === undefined ? 'unruled' : policy.tls.mode === 'ISTIO_MUTUAL' ? 'istio' : 'other',
      ...(setting === undefined ? {} : { locality: setting }),
    };
  },
  { idOf: ({ service, port, subset, rule }) => `${service}|${port}|${subset}|${rule}` },
);

/** The settings in force: the rule's, else what the service's traffic distribution stands for, else the mesh's. */
export function localitySetting(
  own: LocalityLbSetting | undefined,
  service: Service | undefined,
  meshWide: LocalityLbSetting | undefined,
): { readonly setting: LocalityLbSetting | undefined; readonly always: boolean } {
  if (own !== undefined) return { setting: own.enabled === false ? undefined : own, always: false };
  const distribution = service?.trafficDistribution ?? 'any';
  if (distribution !== 'any') return { setting: { failoverPriority: distributionLabels[distribution] }, always: true };
  return { setting: meshWide?.enabled === false ? undefined : meshWide, always: false };
}

const zoneLabels = [networkLabel, 'topology.kubernetes.io/region', 'topology.kubernetes.io/zone'];

const distributionLabels: Readonly<Record<'same-zone' | 'same-node', readonly string[]>> = {
  'same-zone': [...zoneLabels, 'topology.istio.io/subzone'],
  'same-node': [...zoneLabels, 'topology.istio.io/subzone', nodeNameLabel],
};

/** The client as facets give it. */
export type EndpointClient = Pick<ProxyClass, 'locality' | 'labels' | 'network' | 'cluster' | 'nodeName' | 'settings'>;

/** The view of a client whose place does not matter. */
export const anywhere: EndpointView = Object.freeze({});

/** Whether a policy looks at nothing of the client but its network. */
export function isPlaceless(policy: EndpointPolicy): boolean {
  const { locality, failover, nodeLocal } = policy;
  return !nodeLocal && (locality === undefined || (!failover && (locality.distribute ?? []).length === 0));
}

/** Whether the client's network matters: there are gateways between networks, or it sees only some of them. */
export function isNetworked(read: Read, client: EndpointClient): boolean {
  return read(networkGateways, 'all').length > 0 || (client.settings.networkView ?? []).length > 0;
}

/** Cuts a client down to what a policy looks at, so that clients which differ in nothing else share an assignment. */
export function viewOf(read: Read, policy: EndpointPolicy, client: EndpointClient): EndpointView {
  const { locality: setting } = policy;
  const priorities = policy.failover ? (setting?.failoverPriority ?? []) : [];
  const distributed = (setting?.distribute ?? []).length > 0;
  const ranked = distributed || (policy.failover && setting !== undefined);
  const byLocality = ranked && (priorities.length === 0 || distributed || (setting?.failover ?? []).length > 0);
  const networks = read(networkGateways, 'all').length > 0;
  const { networkView } = client.settings;
  return {
    ...(byLocality ? { locality: client.locality } : {}),
    ...(priorities.length > 0 ? { labels: pickLabels(topologyLabels(client), priorities) } : {}),
    ...(networks ? { network: client.network } : {}),
    ...(networkView === undefined || networkView.length === 0 ? {} : { networkView }),
    ...(policy.nodeLocal ? { nodeName: client.nodeName } : {}),
  };
}

/** Text of a view. */
export function viewId(view: EndpointView): string {
  const { locality, labels, network, networkView, nodeName } = view;
  return JSON.stringify([
    locality === undefined ? null : [locality.region, locality.zone, locality.subzone],
    labels === undefined ? null : Object.entries(labels),
    network ?? null,
    networkView ?? null,
    nodeName ?? null,
  ]);
}

/** A workload's labels with those that tell where it runs, which failover may compare. */
export function topologyLabels(workload: {
  readonly labels: Readonly<Record<string, string>>;
  readonly locality: Locality;
  readonly network: string;
  readonly cluster: string;
  readonly nodeName: string;
}): Readonly<Record<string, string>> {
  const { labels, locality, network, cluster, nodeName } = workload;
  const known = {
    'topology.kubernetes.io/region': locality.region,
    'topology.kubernetes.io/zone': locality.zone,
    'topology.istio.io/subzone': locality.subzone,
    'topology.istio.io/cluster': cluster,
    'topology.istio.io/network': network,
    [nodeNameLabel]: nodeName,
  };
  return { ...labels, ...Object.fromEntries(Object.entries(known).filter(([, value]) => value !== '')) };
}

function pickLabels(labels: Readonly<Record<string, string>>, priorities: readonly string[]) {
  const picked: Record<string, string> = {};
  for (const priority of [...priorities].sort()) {
    const value = Object.hasOwn(labels, priority) ? labels[priority] : undefined;
    if (value !== undefined) picked[priority] = value;
  }
  return picked;
}
