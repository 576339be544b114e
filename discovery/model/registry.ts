// The registry's collections, in the order in which one is derived from another.
import { endpointSlices, entriesWithEndpoints } from './endpoint-slices.ts';
import { outsideNodes } from './node-addresses.ts';
import { serviceDefinitions } from './service-definitions.ts';
import { services } from './services.ts';
import { workloads } from './workloads.ts';

/** Collections of services, endpoints and workloads, for the graph. */
export const registryCollections = [
  outsideNodes,
  serviceDefinitions,
  services,
  workloads,
  endpointSlices,
  entriesWithEndpoints,
];
