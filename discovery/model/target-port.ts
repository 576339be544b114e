// The port of a workload that a service port stands for.
import type { ServicePort } from './service.ts';
import type { Workload } from './workload.ts';

/**
 * The port at a workload; undefined where the service names a port that the workload lacks. A WorkloadEntry may map
 * the service's port names to numbers of its own.
 */
export function targetPortOf(port: ServicePort, workload: Workload): number | undefined {
  const named = typeof port.targetPort === 'string' ? port.targetPort : undefined;
  if (named !== undefined) return workload.ports[named] ?? mappedPort(port, workload);
  return mappedPort(port, workload) ?? numberOf(port);
}

function mappedPort(port: ServicePort, workload: Workload): number | undefined {
  return workload.kind === 'WorkloadEntry' ? workload.ports[port.name] : undefined;
}

function numberOf(port: ServicePort): number {
  return typeof port.targetPort === 'number' ? port.targetPort : port.number;
}
