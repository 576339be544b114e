// The endpoints that a ServiceEntry lists itself.
import type { ServiceEntry } from '../../config/kinds/service-entry.ts';
import type { WorkloadEndpoint } from '../../config/kinds/workload-entry.ts';
import type { Read } from '../graph/graph.ts';
import type { Endpoint } from './endpoint.ts';
import { parseLocality, unknownLocality } from './locality.ts';
import { networkLabel, networkOf } from './network.ts';
import { labelledLocality } from './node-locality.ts';
import { facts } from './objects.ts';
import type { ServicePort } from './service.ts';
import { entryTlsMode, spiffeId } from './workload.ts';
import { trustDomain } from './workloads.ts';

/** Inline endpoints for a port, in the order in which they are written. */
export function inlineEndpoints(read: Read, entry: ServiceEntry, port: ServicePort): readonly Endpoint[] {
  const all = (entry.spec.endpoints ?? []).filter((item) => item !== undefined);
  const context = { cluster: read(facts, 'facts').cluster, trustDomain: read(trustDomain, 'mesh') };
  return all.map((item, at) =>
    inlineEndpoint(entry, item, port, {
      ...context,
      network: networkOf(read, item.address ?? ''),
      workloadName: `${entry.metadata.name}-${at}`,
    }),
  );
}

interface InlineContext {
  readonly cluster: string;
  readonly trustDomain: string;
  readonly network: string;
  readonly workloadName: string;
}

function inlineEndpoint(
  entry: ServiceEntry,
  item: WorkloadEndpoint,
  port: ServicePort,
  context: InlineContext,
): Endpoint {
  const address = item.address ?? '';
  const labels = item.labels ?? {};
  const account = item.serviceAccount ?? '';
  const { namespace } = entry.metadata;
  const target = typeof port.targetPort === 'number' ? port.targetPort : port.number;
  return {
    address,
    port: address.startsWith('unix://') ? 0 : (item.ports?.[port.name] ?? target),
    portName: port.name,
    labels,
    identity: account === '' ? '' : spiffeId(context.trustDomain, namespace, account),
    locality: item.locality ? parseLocality(item.locality) : (labelledLocality(labels) ?? unknownLocality),
    network: item.network || labels[networkLabel] || context.network,
    cluster: context.cluster,
    weight: item.weight ?? 0,
    health: 'unknown',
    tlsMode: entryTlsMode(labels, account),
    nodeName: '',
    namespace,
    workloadName: context.workloadName,
  };
}
