// The workloads of the mesh with their indexes.
import type { Pod } from '../../config/kinds/pod.ts';
import type { WorkloadEntry } from '../../config/kinds/workload-entry.ts';
import { index } from '../graph/collect.ts';
import { query, type Read } from '../graph/graph.ts';
import { unknownLocality } from './locality.ts';
import { networkOf } from './network.ts';
import { nodeLocality } from './node-locality.ts';
import { objectCollection } from './object-collection.ts';
import { mesh } from './objects.ts';
import { selectorEntry } from './services.ts';
import { ofPod, ofWorkloadEntry, selects, type Workload } from './workload.ts';

/** The mesh's trust domain. */
export const trustDomain = query(
  'trust-domain',
  (read, _key: 'mesh') => read(mesh, 'mesh').trustDomain ?? 'cluster.local',
);

/** Workloads by their key. */
export const workloads = objectCollection<'Pod' | 'WorkloadEntry', Workload>(
  'workloads',
  ['Pod', 'WorkloadEntry'],
  (read, _key, object) => {
    const workload = workloadOf(read, object);
    return workload === undefined ? new Map() : new Map([[workload.key, workload]]);
  },
);

/** Keys of workloads by address. Several may share one: pods of the node's network, entries written twice. */
export const workloadsByAddress = index('workloads-by-address', workloads, (workload) => workload.addresses);

/** Keys of workloads by namespace. */
export const workloadsByNamespace = index('workloads-by-namespace', workloads, (workload) => [workload.namespace]);

/** Keys of workloads by `namespace|label=value`, once for each label. */
export const workloadsByLabel = index('workloads-by-label', workloads, (workload) =>
  Object.entries(workload.labels).map(([name, value]) => `${workload.namespace}|${name}=${value}`),
);

/** Which workloads: those of a namespace that carry all labels of a selector. */
export interface Selection {
  readonly namespace: string;
  readonly selector: Readonly<Record<string, string>>;
}

/** The workloads that a selector selects, by key. An empty selector selects none, as in Kubernetes' Services. */
export function selectedWorkloads(read: Read, { namespace, selector }: Selection): readonly Workload[] {
  if (Object.keys(selector).length === 0) return [];
  return read(workloadsByLabel, selectorEntry(namespace, selector)).flatMap((key) => {
    const workload = read(workloads, key);
    return workload !== undefined && selects(selector, workload.labels) ? [workload] : [];
  });
}

function workloadOf(read: Read, object: Pod | WorkloadEntry): Workload | undefined {
  const address = object.kind === 'Pod' ? object.status?.podIP : object.spec?.address;
  const context = { trustDomain: read(trustDomain, 'mesh'), network: networkOf(read, address ?? '') };
  if (object.kind === 'WorkloadEntry') return ofWorkloadEntry(object, { ...context, nodeLocality: unknownLocality });
  const node = object.spec?.nodeName ?? '';
  return ofPod(object, { ...context, nodeLocality: node === '' ? unknownLocality : read(nodeLocality, node) });
}
