// Where Ingresses are reached, told in their status as long as the control plane runs.
import { isServed } from '../../discovery/model/ingress.ts';
import { ingressPoints } from '../../discovery/model/ingress-points.ts';
import type { ControlPlane } from '../compose.ts';
import { rest } from '../rest.ts';
import { IngressStatus } from './ingress-status.ts';
import { ingressLease } from './names.ts';
import { endingInTurn, type LeadingOptions, whileLeading } from './while-leading.ts';

/** Keeps it until disposed; written by the leader of the replicas only. */
export function keepIngressStatus(plane: ControlPlane, leading: Omit<LeadingOptions, 'lease'>): AsyncDisposable {
  const { store, graph, xds } = plane;
  const status = new IngressStatus({
    api: leading.api,
    store,
    settled: () => xds.publisher.idle(),
    serves: (ingress) => isServed(graph.read, ingress, (name) => store.get('IngressClass', `/${name}`)),
    points: () => graph.read(ingressPoints, 'all'),
    sleep: rest,
    random: Math.random,
    monotonic: () => performance.now(),
    report: store.sinkOf('ingress status').report,
    log: (message) => leading.log.warn(message),
  });
  const lead = whileLeading({ ...leading, lease: ingressLease }, (leads) => status.lead(leads));
  return endingInTurn(status, lead);
}
