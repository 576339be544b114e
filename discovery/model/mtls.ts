// Mutual TLS by PeerAuthentication: what a workload's ports accept, and what clients may expect of a service.
import type { PeerAuthentication } from '../../config/kinds/peer-authentication.ts';
import { compareAge } from '../../config/object.ts';
import { index } from '../graph/collect.ts';
import { query, type Read } from '../graph/graph.ts';
import { objectCollection } from './object-collection.ts';
import { mesh } from './objects.ts';
import type { Service } from './service.ts';
import { serviceEndpoints } from './service-endpoints.ts';
import { selects } from './workload.ts';

type Labels = Readonly<Record<string, string>>;

/** What a port accepts: plain text only, both, or mutual TLS only. */
export type MtlsMode = 'DISABLE' | 'PERMISSIVE' | 'STRICT';

/** The policies that count in a namespace. */
export interface NamespaceMtls {
  /** Mode by the namespace's or the mesh's policy; undefined where no policy sets one. */
  readonly mode: MtlsMode | undefined;
  /** Policies with selectors, oldest first: the first that selects a workload counts for it. */
  readonly selecting: readonly WorkloadMtls[];
}

/** A policy for selected workloads. An absent mode is inherited. */
export interface WorkloadMtls {
  readonly selector: Labels;
  readonly mode: MtlsMode | undefined;
  /** By the workload's own port, as text. */
  readonly ports: Readonly<Record<string, MtlsMode | undefined>>;
}

const peerAuthentications = objectCollection(
  'peer-authentications',
  ['PeerAuthentication'],
  (_read, key, object) => new Map([[key, object]]),
);

const byNamespace = index('peer-authentications-by-namespace', peerAuthentications, (object) => [
  object.metadata.namespace,
]);

/** Collections of this file, for the graph. */
export const mtlsCollections = [peerAuthentications];

/** The policies of a namespace, with what it inherits from the mesh. Of several policies of one scope the oldest counts. */
export const namespaceMtls = query('namespace-mtls', (read, namespace: string): NamespaceMtls => {
  const root = read(mesh, 'mesh').rootNamespace ?? 'istio-system';
  const own = policiesOf(read, namespace);
  const meshWide = modeOf(policiesOf(read, root).find((policy) => !hasSelector(policy)));
  const general = namespace === root ? undefined : modeOf(own.find((policy) => !hasSelector(policy)));
  return {
    mode: general ?? meshWide,
    // In the root namespace a selector has no effect: the policy is neither the mesh's nor a namespace's.
    selecting: namespace === root ? [] : own.filter(hasSelector).map(workloadMtlsOf),
  };
});

/** What a workload's port accepts. `port` is the workload's own; 0 asks for the ports without a mode of their own. */
export function mtlsModeOf(policies: NamespaceMtls, labels: Labels, port: number): MtlsMode {
  const selecting = policies.selecting.find(({ selector }) => selects(selector, labels));
  const general = selecting?.mode ?? policies.mode ?? 'PERMISSIVE';
  return (port === 0 ? undefined : selecting?.ports[String(port)]) ?? general;
}

/** The ports of a workload that have a mode of their own, with their modes, by number. */
export function mtlsPortsOf(policies: NamespaceMtls, labels: Labels): ReadonlyMap<number, MtlsMode> {
  const selecting = policies.selecting.find(({ selector }) => selects(selector, labels));
  const ports = Object.keys(selecting?.ports ?? {}).map(Number);
  return new Map(ports.sort((a, b) => a - b).map((port) => [port, mtlsModeOf(policies, labels, port)]));
}

/** Which port of which workload. */
export interface WorkloadPortKey {
  readonly namespace: string;
  readonly labels: Labels;
  /** The workload's own port, or 0. */
  readonly port: number;
}

/** What a workload's port accepts, as a query. */
export const workloadMtls = query<WorkloadPortKey, MtlsMode>('workload-mtls', (read, { namespace, labels, port }) =>
  mtlsModeOf(read(namespaceMtls, namespace), labels, port),
);

/**
 * What clients may expect of a service's port for automatic mTLS; undefined: nothing, since it is outside of the mesh.
 * `passthrough` says that clients connect to the address they were given: then every endpoint has to accept mTLS.
 */
export function serviceMtlsMode(
  read: Read,
  service: Service,
  port: number,
  passthrough: boolean,
): MtlsMode | undefined {
  if (service.meshExternal) return undefined;
  if (passthrough && !read(allAcceptMtls, { service: service.key, port })) return 'DISABLE';
  return read(namespaceMtls, service.namespace).mode ?? 'PERMISSIVE';
}

/** Whether a service's port has endpoints and all of them accept mTLS. */
const allAcceptMtls = query<{ service: string; port: number }, boolean>(
  'all-accept-mtls',
  (read, key) => {
    const endpoints = read(serviceEndpoints, key);
    return endpoints.length > 0 && endpoints.every((endpoint) => endpoint.tlsMode === 'istio');
  },
  { idOf: ({ service, port }) => `${service}|${port}` },
);

function policiesOf(read: Read, namespace: string): readonly PeerAuthentication[] {
  return read(byNamespace, namespace)
    .map((key) => read(peerAuthentications, key))
    .filter((policy) => policy !== undefined)
    .map((policy) => policy as PeerAuthentication)
    .sort(compareAge);
}

function hasSelector(policy: PeerAuthentication): boolean {
  return Object.keys(policy.spec?.selector?.matchLabels ?? {}).length > 0;
}

function workloadMtlsOf(policy: PeerAuthentication): WorkloadMtls {
  const ports = Object.entries(policy.spec?.portLevelMtls ?? {});
  return {
    selector: policy.spec?.selector?.matchLabels ?? {},
    mode: modeOf(policy),
    ports: Object.fromEntries(ports.map(([port, { mode }]) => [port, definite(mode)])),
  };
}

function modeOf(policy: PeerAuthentication | undefined): MtlsMode | undefined {
  return definite(policy?.spec?.mtls?.mode);
}

function definite(mode: string | undefined): MtlsMode | undefined {
  return mode === 'DISABLE' || mode === 'PERMISSIVE' || mode === 'STRICT' ? mode : undefined;
}
