// Counts what is the matter with the endpoints of a cluster, from the objects alone.
import type { EndpointSlice } from '../config/kinds/endpoint-slice.ts';
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
  let orphans = 0;
  let notReady = 0;
  for (const slice of store.list('EndpointSlice')) {
    const { metadata, endpoints = [] } = slice;
    if (endpoints.length > 0) served.add(`${metadata.namespace}/${metadata.labels?.[serviceLabel]}`);
    orphans += withoutPod(store, slice);
    notReady += endpoints.filter(({ conditions }) => conditions?.ready === false).length;
  }
  const emptyServices = store
    .list('Service')
    .filter(
      ({ metadata, spec }) =>
        spec?.type !== 'ExternalName' &&
        Object.keys(spec?.selector ?? {}).length > 0 &&
        !served.has(`${metadata.namespace}/${metadata.name}`),
    ).length;
  return { emptyServices, withoutPod: orphans, notReady };
}

/** How many endpoints of a slice name a pod that is not known. */
export function withoutPod(store: Pick<Store, 'get'>, { metadata, endpoints = [] }: EndpointSlice): number {
  return endpoints.filter(
    ({ targetRef }) =>
      targetRef?.kind === 'Pod' &&
      store.get('Pod', `${targetRef.namespace ?? metadata.namespace}/${targetRef.name}`) === undefined,
  ).length;
}
