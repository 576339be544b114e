// Where the Ingresses that the mesh serves can be reached: what their status is to say.
import { isIP } from 'node:net';
import type { IngressPoint } from '../../config/kinds/ingress.ts';
import type { Service } from '../../config/kinds/service.ts';
import { compareText } from '../../config/object.ts';
import { isDnsSubdomain } from '../../config/rules/names.ts';
import { query, type Read } from '../graph/graph.ts';
import { ingressNamespace, ingressSelector, ingressService } from './ingress.ts';
import { objects } from './objects.ts';
import { selectedWorkloads } from './workloads.ts';

/**
 * Points of entry, sorted, the same for every Ingress: those of the mesh's ingressService, or without one the external
 * addresses of the nodes on which pods of the gateway run.
 */
export const ingressPoints = query('ingress-points', (read, _key: 'all'): readonly IngressPoint[] => {
  const name = read(ingressService, 'mesh');
  const namespace = read(ingressNamespace, 'facts');
  const addresses =
    name === '' ? nodeAddresses(read, namespace) : serviceAddresses(read(objects.Service, `${namespace}/${name}`));
  return pointsOf(addresses);
});

/** Addresses and names as points, each once; what the API server would refuse is left out. */
export function pointsOf(addresses: readonly string[]): readonly IngressPoint[] {
  const unique = [...new Set(addresses)];
  return unique
    .filter((address) => isIP(address) !== 0 || isDnsSubdomain(address))
    .map((address) => (isIP(address) === 0 ? { hostname: address } : { ip: address }))
    .sort((a, b) => compareText(a.hostname ?? '', b.hostname ?? '') || compareText(a.ip ?? '', b.ip ?? ''));
}

/** Where a Service is reached from outside. */
export function serviceAddresses(service: Service | undefined): readonly string[] {
  const { spec, status } = service ?? {};
  if (spec?.type === 'ExternalName') return [spec.externalName ?? ''];
  const balanced = (status?.loadBalancer?.ingress ?? []).map(({ ip = '', hostname = '' }) =>
    ip === '' ? hostname : ip,
  );
  return [...balanced, ...(spec?.externalIPs ?? [])];
}

function nodeAddresses(read: Read, namespace: string): readonly string[] {
  const pods = selectedWorkloads(read, { namespace, selector: read(ingressSelector, 'mesh') });
  const running = pods.filter(
    ({ kind, name }) => kind === 'Pod' && read(objects.Pod, `${namespace}/${name}`)?.status?.phase === 'Running',
  );
  const nodes = [...new Set(running.map(({ nodeName }) => nodeName))];
  return nodes.flatMap((node) =>
    (read(objects.Node, `/${node}`)?.status?.addresses ?? []).flatMap(({ type, address = '' }) =>
      type === 'ExternalIP' ? [address] : [],
    ),
  );
}
