// A workload: a pod or a WorkloadEntry, with what services, policies and telemetry want to know of it.
import type { Pod } from '../../config/kinds/pod.ts';
import type { WorkloadEntry } from '../../config/kinds/workload-entry.ts';
import { compareText, type ObjectMeta } from '../../config/object.ts';
import type { Locality } from './locality.ts';
import { parseLocality, unknownLocality } from './locality.ts';
import { labelledLocality } from './node-locality.ts';

type Labels = Readonly<Record<string, string>>;

/** One workload. */
export interface Workload {
  /** `Pod|namespace/name` or `WorkloadEntry|namespace/name`. */
  readonly key: string;
  readonly kind: 'Pod' | 'WorkloadEntry';
  readonly name: string;
  readonly namespace: string;
  /** IP addresses, the first being the primary; of a WorkloadEntry also a host name or `unix://` path. */
  readonly addresses: readonly string[];
  readonly labels: Labels;
  readonly serviceAccount: string;
  /** SPIFFE id, or empty where it has no service account. */
  readonly identity: string;
  readonly locality: Locality;
  readonly network: string;
  readonly nodeName: string;
  /** Whether it accepts Istio mTLS. */
  readonly tlsMode: 'istio' | 'disabled';
  /** Name of the controller behind it (Deployment, Job, …), else its own. */
  readonly workloadName: string;
  /** TCP ports by name: of containers, or of the WorkloadEntry. */
  readonly ports: Readonly<Record<string, number>>;
  /** Relative weight, 0 meaning unset. */
  readonly weight: number;
  readonly ready: boolean;
  /** Its deletion was asked for: it may still end what it does, and is to be given nothing new. */
  readonly terminating: boolean;
  readonly hostNetwork: boolean;
  readonly hostname?: string;
  readonly subdomain?: string;
}

/** What workloads take from elsewhere. */
export interface WorkloadContext {
  readonly trustDomain: string;
  /** Network of workloads that name none. */
  readonly network: string;
  /** Locality of the pod's node. */
  readonly nodeLocality: Locality;
}

/** The workload of a pod; undefined while it has no address and once it has ended. */
export function ofPod(pod: Pod, context: WorkloadContext): Workload | undefined {
  const { metadata, spec = {}, status = {} } = pod;
  const addresses = podAddresses(pod);
  if (addresses.length === 0 || status.phase === 'Succeeded' || status.phase === 'Failed') return undefined;
  const labels = metadata.labels ?? {};
  const serviceAccount = spec.serviceAccountName ?? 'default';
  return {
    key: `Pod|${metadata.namespace}/${metadata.name}`,
    kind: 'Pod',
    name: metadata.name,
    namespace: metadata.namespace,
    addresses,
    labels,
    serviceAccount,
    identity: spiffeId(context.trustDomain, metadata.namespace, serviceAccount),
    locality: labelledLocality(labels) ?? context.nodeLocality,
    network: labels['topology.istio.io/network'] ?? context.network,
    nodeName: spec.nodeName ?? '',
    tlsMode: labels[tlsModeLabel] === 'istio' ? 'istio' : 'disabled',
    workloadName: controllerName(metadata),
    ports: containerPorts(pod),
    weight: 0,
    ready: status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false,
    terminating: metadata.deletionTimestamp !== undefined,
    hostNetwork: spec.hostNetwork ?? false,
    ...(spec.hostname === undefined ? {} : { hostname: spec.hostname }),
    ...(spec.subdomain === undefined ? {} : { subdomain: spec.subdomain }),
  };
}

/** The workload of a WorkloadEntry. One without an address is reachable only through a gateway of its network. */
export function ofWorkloadEntry(entry: WorkloadEntry, context: WorkloadContext): Workload {
  const { metadata } = entry;
  const spec = entry.spec ?? {};
  const labels = { ...metadata.labels, ...spec.labels };
  const account = spec.serviceAccount ?? '';
  return {
    key: `WorkloadEntry|${metadata.namespace}/${metadata.name}`,
    kind: 'WorkloadEntry',
    name: metadata.name,
    namespace: metadata.namespace,
    addresses: spec.address ? [spec.address] : [],
    labels,
    serviceAccount: account,
    identity: account === '' ? '' : spiffeId(context.trustDomain, metadata.namespace, account),
    locality: spec.locality ? parseLocality(spec.locality) : (labelledLocality(labels) ?? unknownLocality),
    network: spec.network || labels['topology.istio.io/network'] || context.network,
    nodeName: '',
    tlsMode: entryTlsMode(labels, account),
    workloadName: metadata.name,
    ports: spec.ports ?? {},
    weight: spec.weight ?? 0,
    ready: isHealthy(entry),
    terminating: false,
    hostNetwork: false,
  };
}

/** Whether a workload outside of Kubernetes accepts Istio mTLS: by its label, else by having a service account. */
export function entryTlsMode(labels: Labels, serviceAccount: string): Workload['tlsMode'] {
  const mode = labels[tlsModeLabel] ?? (serviceAccount === '' ? 'disabled' : 'istio');
  return mode === 'istio' ? 'istio' : 'disabled';
}

/** The SPIFFE id of a service account. */
export function spiffeId(trustDomain: string, namespace: string, serviceAccount: string): string {
  // Joined to one text in memory; a template would stay five, and each workload has one.
  return ['spiffe:/', trustDomain.replaceAll('@', '.'), 'ns', namespace, 'sa', serviceAccount].join('/');
}

/** Whether a selector selects labels: all of its labels are there. An empty selector selects everything. */
export function selects(selector: Labels | undefined, labels: Labels): boolean {
  return Object.entries(selector ?? {}).every(([name, value]) => Object.hasOwn(labels, name) && labels[name] === value);
}

const tlsModeLabel = 'security.istio.io/tlsMode';

function podAddresses(pod: Pod): readonly string[] {
  const all = (pod.status?.podIPs ?? []).map(({ ip }) => ip ?? '').filter((ip) => ip !== '');
  const first = pod.status?.podIP ?? '';
  // What a filter gives has room for more; a copy has not.
  return all.length > 0 ? all.slice() : first === '' ? [] : [first];
}

/** TCP ports by name, of what runs as long as the pod does; the first of a name counts, as in Kubernetes. */
function containerPorts(pod: Pod): Readonly<Record<string, number>> {
  const found = new Map<string, number>();
  const sidecars = (pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  for (const container of [...(pod.spec?.containers ?? []), ...sidecars]) {
    for (const { name, containerPort, protocol = 'TCP' } of container.ports ?? []) {
      if (name === undefined || containerPort === undefined || protocol !== 'TCP' || found.has(name)) continue;
      found.set(name, containerPort);
    }
  }
  return found.size === 0 ? noPorts : Object.fromEntries([...found].sort(([a], [b]) => compareText(a, b)));
}

/** One for all pods that name no ports. */
const noPorts: Readonly<Record<string, number>> = Object.freeze({});

function controllerName(metadata: ObjectMeta): string {
  const labelled = metadata.labels?.['service.istio.io/workload-name'];
  if (labelled) return labelled;
  const owner = metadata.ownerReferences?.find((reference) => reference.controller ?? false);
  if (owner === undefined) return metadata.name;
  const hash = metadata.labels?.['pod-template-hash'] ?? metadata.labels?.['rollouts-pod-template-hash'];
  if (owner.kind === 'ReplicaSet' && hash && owner.name.endsWith(`-${hash}`)) {
    return owner.name.slice(0, -hash.length - 1);
  }
  const scheduled = owner.kind === 'Job' ? /^(.+)-\d{8,10}$/.exec(owner.name) : null;
  return scheduled?.[1] ?? owner.name;
}

/** Health of a WorkloadEntry counts only where its agent reports it. */
function isHealthy(entry: WorkloadEntry): boolean {
  if (entry.metadata.annotations?.['proxy.istio.io/health-checks-enabled'] !== 'true') return true;
  return entry.status?.conditions?.some(({ type, status }) => type === 'Healthy' && status === 'True') ?? false;
}
