// Pods of a store by name and by node, kept as they come and go, for checks that happen at every certificate.
import type { KnownPod } from '../certs/impersonation.ts';
import type { Pod } from '../config/kinds/pod.ts';
import type { Store } from '../config/store.ts';

export interface PodIndex {
  pod(namespace: string, name: string): KnownPod | undefined;
  /** Whether a pod of the account runs, or is about to, on the node. */
  runsOn(node: string, namespace: string, serviceAccount: string): boolean;
}

/** Follows the store's pods for as long as the store lives. */
export function indexPods(store: Store): PodIndex {
  const pods = new Map<string, Pod>();
  const counts = new Map<string, number>();
  const count = (pod: Pod | undefined, by: number): void => {
    const { node = '', serviceAccount } = known(pod) ?? {};
    if (pod === undefined || node === '') return;
    const place = `${node} ${pod.metadata.namespace}/${serviceAccount}`;
    const total = (counts.get(place) ?? 0) + by;
    if (total === 0) counts.delete(place);
    else counts.set(place, total);
  };
  const put = (key: string, pod: Pod | undefined): void => {
    count(pods.get(key), -1);
    count(pod, 1);
    if (pod === undefined) pods.delete(key);
    else pods.set(key, pod);
  };
  for (const pod of store.list('Pod')) put(`${pod.metadata.namespace}/${pod.metadata.name}`, pod);
  store.subscribe((changes) => {
    for (const { kind, key, object } of changes) if (kind === 'Pod') put(key, object as Pod | undefined);
  });
  return {
    pod: (namespace, name) => known(pods.get(`${namespace}/${name}`)),
    runsOn: (node, namespace, serviceAccount) => counts.has(`${node} ${namespace}/${serviceAccount}`),
  };
}

/** A pod that has ended is none: nothing runs that could hold its certificate. */
function known(pod: Pod | undefined): KnownPod | undefined {
  const uid = pod?.metadata.uid;
  if (pod === undefined || uid === undefined || pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') {
    return undefined;
  }
  return { uid, serviceAccount: pod.spec?.serviceAccountName ?? 'default', node: pod.spec?.nodeName ?? '' };
}
