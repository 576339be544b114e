// What filters are told of a proxy class: cut down to plain data that can be part of a key.
import type { Facets } from '../../proxy/proxy-class.ts';
import type { FilterClient } from './filters/context.ts';

/** Facets on which filters depend. */
export const filterFacets = ['capabilities', 'settings', 'canonical', 'cluster'] as const;

type Client = Facets<(typeof filterFacets)[number]>;

/** The proxy as its filters see it. */
export function filterClient({ capabilities, settings, canonical, cluster }: Client): FilterClient {
  return {
    istioFilters: capabilities.istioFilters,
    proxyConfig: settings.proxyConfig ?? '',
    http10: settings.http10 === true,
    ...(canonical === undefined
      ? {}
      : {
          spans: {
            ...canonical,
            cluster: cluster === '' ? 'unknown' : cluster,
            mesh: settings.meshId ?? 'unknown',
          },
        }),
  };
}
