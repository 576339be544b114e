// Counts what is the matter with the endpoints of a cluster, from the objects alone.
import type { Store } from '../config/store.ts';

/** Counts over all services and EndpointSlices. */
export interface EndpointCounts {
  /** Services that select pods and have no endpoint in any slice. */
  readonly emptyServices: number;
  /** Endpoints of pods that are not known. */
  readonly withoutPod: number;
  readonly notReady: number;
}

const serviceLabel = 'kubernetes.io/service-name';

/** Looks at every slice once. */
export function countEndpoints(store: Pick<Store, 'get' | 'list'>): EndpointCounts {
  const served = new Set<string>();
  let withoutPod = 0;
  let notReady = 0;
  for (const { metadata, endpoints = [] } of store.list('EndpointSlice')) {
    const { namespace = '' } = metadata;
    if (endpoints.length > 0) served.add(`${namespace}/${metadata.labels?.[serviceLabel]}`);
    for (const { targetRef, conditions } of endpoints) {
      if (conditions?.ready === false) notReady++;
      if (targetRef?.kind !== 'Pod') continue;
      const pod = `${targetRef.namespace ?? namespace}/${targetRef.name}`;
      if (store.get('Pod', pod) === undefined) withoutPod++;
    }
  }
  const emptyServices = store
    .list('Service')
    .filter(
      ({ metadata, spec }) =>
        spec?.type !== 'ExternalName' &&
        Object.keys(spec?.selector ?? {}).length > 0 &&
        !served.has(`${metadata.namespace}/${metadata.name}`),
    ).length;
  return { emptyServices, withoutPod, notReady };
}
