// The endpoint that a workload is for a service.
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
  const place = { address, port: address.startsWith('unix://') ? 0 : target, portName: port.name, cluster };
  return [endpointAt(place, workload, !ready ? 'unhealthy' : workload.kind === 'Pod' ? 'healthy' : 'unknown')];
}

/**
 * Whether a workload that a service selects is one of its endpoints. As in istiod a headless Service has no
 * WorkloadEntries: clients find its endpoints by the cluster's DNS, which does not know of them.
 */
export function standsBehind(
  { kind }: Pick<Workload, 'kind'>,
  { registry, resolution }: Pick<Service, 'registry' | 'resolution'>,
): boolean {
  return kind !== 'WorkloadEntry' || registry !== 'Kubernetes' || resolution === 'endpoints';
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
