// EndpointSlices and the inline endpoints of ServiceEntries, by the service they belong to and by address.
import type { EndpointSlice } from '../../config/kinds/endpoint-slice.ts';
import type { ServiceEntry } from '../../config/kinds/service-entry.ts';
import { index } from '../graph/collect.ts';
import { objectCollection } from './object-collection.ts';

/** EndpointSlices of IP addresses by `namespace/name`. */
export const endpointSlices = objectCollection<'EndpointSlice', EndpointSlice>(
  'endpoint-slices',
  ['EndpointSlice'],
  (_read, key, slice) => (slice.addressType === 'FQDN' ? new Map() : new Map([[key, slice]])),
);

/** Keys of slices by `namespace/name` of their Kubernetes Service. */
export const slicesByService = index('slices-by-service', endpointSlices, ({ metadata }) => {
  const service = metadata.labels?.['kubernetes.io/service-name'];
  return service === undefined ? [] : [`${metadata.namespace}/${service}`];
});

/** Keys of slices by the addresses in them. */
export const slicesByAddress = index('slices-by-address', endpointSlices, (slice) => [
  ...new Set((slice.endpoints ?? []).flatMap((endpoint) => endpoint.addresses ?? [])),
]);

/** ServiceEntries that list endpoints, by `namespace/name`. */
export const entriesWithEndpoints = objectCollection<'ServiceEntry', ServiceEntry>(
  'entries-with-endpoints',
  ['ServiceEntry'],
  (_read, key, entry) => ((entry.spec?.endpoints ?? []).length === 0 ? new Map() : new Map([[key, entry]])),
);

/** Keys of ServiceEntries by the addresses of their inline endpoints. */
export const entriesByAddress = index('entries-by-address', entriesWithEndpoints, (entry) => [
  ...new Set((entry.spec.endpoints ?? []).map((endpoint) => endpoint?.address ?? '').filter((text) => text !== '')),
]);
