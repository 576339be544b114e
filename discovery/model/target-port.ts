// The port of a workload that a service port stands for.
import type { Service, ServicePort } from './service.ts';
import type { Workload } from './workload.ts';

/**
 * The port at a workload; undefined where the service names a port that the workload lacks. Other service ports stand
 * for themselves or their target, but a WorkloadEntry, and any workload behind a ServiceEntry, may have a port of the
 * service port's own name: then it is that one (as in istiod).
 */
export function targetPortOf(
  { registry }: Pick<Service, 'registry'>,
  port: ServicePort,
  workload: Workload,
): number | undefined {
  if (typeof port.targetPort === 'string') return portNamed(port.targetPort, workload);
  const isMapped = registry === 'External' || workload.kind === 'WorkloadEntry';
  return (isMapped && portNamed(port.name, workload)) || (port.targetPort ?? port.number);
}

function portNamed(name: string, { ports }: Workload): number | undefined {
  return Object.hasOwn(ports, name) ? ports[name] : undefined;
}
