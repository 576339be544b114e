// The endpoint that a workload is for a service.
import type { Endpoint } from './endpoint.ts';
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
  return [
    {
      address,
      port: address.startsWith('unix://') ? 0 : target,
      portName: port.name,
      ...workloadFacts(workload),
      cluster,
      health: !ready ? 'unhealthy' : workload.kind === 'Pod' ? 'healthy' : 'unknown',
    },
  ];
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

/** What an endpoint takes from its workload. */
export function workloadFacts(workload: Workload) {
  return {
    labels: workload.labels,
    identity: workload.identity,
    locality: workload.locality,
    network: workload.network,
    weight: workload.weight,
    tlsMode: workload.tlsMode,
    nodeName: workload.nodeName,
    namespace: workload.namespace,
    workloadName: workload.workloadName,
    ...(workload.hostname === undefined ? {} : { hostname: workload.hostname }),
    ...(workload.subdomain === undefined ? {} : { subdomain: workload.subdomain }),
  };
}
