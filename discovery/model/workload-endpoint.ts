// The endpoint that a workload is for a service.
import { isAddress } from './address.ts';
import type { Endpoint, Health } from './endpoint.ts';
import type { Service, ServicePort } from './service.ts';
import { targetPortOf } from './target-port.ts';
import type { Workload } from './workload.ts';

/** The endpoint that a workload is for a service's port; none where it lacks the port, or is being deleted. */
export function endpointOfWorkload(
  workload: Workload,
  service: Service,
  port: ServicePort,
  cluster: string,
): readonly Endpoint[] {
  const target = targetPortOf(service, port, workload);
  if (target === undefined || workload.terminating) return [];
  const address = workload.addresses[0] ?? '';
  const ready = workload.ready || service.publishNotReady;
  const place = { address, port: target, portName: port.name, cluster };
  return [endpointAt(place, workload, !ready ? 'unhealthy' : workload.kind === 'Pod' ? 'healthy' : 'unknown')];
}

/**
 * Whether a workload that a service selects is one of its endpoints. As in istiod a headless Service has no
 * WorkloadEntries: clients find its endpoints by the cluster's DNS, which does not know of them. Nor has any service one
 * whose address is a host name or a `unix://` path, since Envoy refuses all endpoints together for it; only ServiceEntries
 * that have names looked up have those of host names. (istiod gives them the paths too, of which Envoy makes nothing.)
 */
export function standsBehind(
  { kind, addresses }: Pick<Workload, 'kind' | 'addresses'>,
  { registry, resolution }: Pick<Service, 'registry' | 'resolution'>,
): boolean {
  if (kind !== 'WorkloadEntry') return true;
  const [address] = addresses;
  if (address === undefined || isAddress(address)) return registry !== 'Kubernetes' || resolution === 'endpoints';
  const looksUp = resolution === 'dns' || resolution === 'dns-round-robin';
  return registry === 'External' && looksUp && !address.startsWith('unix://');
}

/** Where an endpoint is, and for which port. */
export type Place = Pick<Endpoint, 'address' | 'port' | 'portName' | 'cluster'>;

/** The endpoint at a place, with what is known of the workload there. */
export function endpointAt({ address, port, portName, cluster }: Place, workload: Workload, health: Health): Endpoint {
  const { labels, identity, locality, network, weight, tlsMode, nodeName, namespace, workloadName } = workload;
  // In one literal: an object that is put together from others keeps half of its fields outside of itself.
  const endpoint: Endpoint = {
    address,
    port,
    portName,
    labels,
    identity,
    locality,
    network,
    weight,
    tlsMode,
    nodeName,
    namespace,
    workloadName,
    cluster,
    health,
  };
  const { hostname, subdomain } = workload;
  if (hostname === undefined && subdomain === undefined) return endpoint;
  return {
    ...endpoint,
    ...(hostname === undefined ? {} : { hostname }),
    ...(subdomain === undefined ? {} : { subdomain }),
  };
}
