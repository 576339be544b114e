// The endpoints that EndpointSlices give to a Kubernetes Service's port.
import type { EndpointSlice, SliceEndpoint } from '../../config/kinds/endpoint-slice.ts';
import { isOfFamily } from '../../config/rules/endpoint-slice.ts';
import type { Read } from '../graph/graph.ts';
import type { Endpoint, Health } from './endpoint.ts';
import { endpointSlices } from './endpoint-slices.ts';
import { unknownLocality } from './locality.ts';
import { networkOf } from './network.ts';
import { facts } from './objects.ts';
import type { Service, ServicePort } from './service.ts';
import type { Workload } from './workload.ts';
import { endpointAt } from './workload-endpoint.ts';
import { workloads, workloadsByAddress } from './workloads.ts';

/** Endpoints of the slices with the given keys, one for each address. Slices may overlap; an address counts once. */
export function sliceEndpoints(
  read: Read,
  slices: readonly string[],
  service: Service,
  port: ServicePort,
): readonly Endpoint[] {
  const found = new Map<string, Endpoint>();
  for (const key of slices) {
    const slice = read(endpointSlices, key);
    if (slice === undefined) continue;
    for (const item of slice.endpoints ?? []) {
      for (const endpoint of endpointsOf(read, slice, item, service, port)) {
        found.set(`${endpoint.address}|${endpoint.port}`, endpoint);
      }
    }
  }
  return [...found.values()];
}

function endpointsOf(
  read: Read,
  slice: EndpointSlice,
  item: SliceEndpoint,
  service: Service,
  port: ServicePort,
): readonly Endpoint[] {
  const health = healthOf(item, service);
  const numbers = (slice.ports ?? []).filter((candidate) => (candidate.name ?? '') === port.name);
  if (health === undefined || numbers.length === 0) return [];
  return (item.addresses ?? []).flatMap((address) => {
    if (!isOfFamily(address, slice.addressType)) return [];
    const workload = workloadAt(read, slice, item, address);
    // The pod is yet to be seen: without it neither identity nor mTLS is known.
    if (workload === undefined && item.targetRef?.kind === 'Pod') return [];
    const { cluster } = read(facts, 'facts');
    return numbers.flatMap((number) => {
      if (number.port === undefined) return [];
      const place = { address, port: number.port, portName: port.name, cluster };
      return [
        workload === undefined
          ? { ...place, ...unknownWorkload(read, item, address), health }
          : endpointAt(place, workload, health),
      ];
    });
  });
}

function workloadAt(read: Read, slice: EndpointSlice, item: SliceEndpoint, address: string): Workload | undefined {
  const { namespace } = slice.metadata;
  const target = item.targetRef;
  if (target?.kind === 'Pod') return read(workloads, `Pod|${target.namespace || namespace}/${target.name ?? ''}`);
  const keys = read(workloadsByAddress, address).filter((key) => key.startsWith('Pod|'));
  const own = keys.find((key) => key.startsWith(`Pod|${namespace}/`)) ?? keys[0];
  return own === undefined ? undefined : read(workloads, own);
}

function unknownWorkload(read: Read, item: SliceEndpoint, address: string) {
  return {
    labels: {},
    identity: '',
    locality: unknownLocality,
    network: networkOf(read, address),
    weight: 0,
    tlsMode: 'disabled' as const,
    nodeName: item.nodeName ?? '',
    namespace: '',
    workloadName: '',
    ...(item.hostname === undefined ? {} : { hostname: item.hostname }),
  };
}

/** Labels of services whose clients stick to an endpoint even while it drains, by cookie or by header. */
const persistentSession = ['istio.io/persistent-session', 'istio.io/persistent-session-header'];

/**
 * Absent conditions count as true for ready and serving. What terminates takes no traffic, except from sticky clients as
 * long as it serves.
 */
function healthOf({ conditions = {} }: SliceEndpoint, service: Service): Health | undefined {
  if (conditions.ready ?? true) return 'healthy';
  if (conditions.terminating !== true) return 'unhealthy';
  const isSticky = persistentSession.some((label) => service.labels[label] !== undefined);
  return isSticky && conditions.serving !== false ? 'draining' : undefined;
}
