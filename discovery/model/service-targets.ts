// The service ports that a workload serves: what its sidecar listens for.
import { compareText } from '../../config/object.ts';
import { query, type Read } from '../graph/graph.ts';
import { endpointSlices, entriesByAddress, slicesByAddress } from './endpoint-slices.ts';
import { objectOf } from './object-collection.ts';
import type { ServiceTarget } from './service-target.ts';
import { partsOf, selectorEntry, services, servicesByObject, servicesBySelector } from './services.ts';
import { targetPortOf } from './target-port.ts';
import { selects, type Workload } from './workload.ts';
import { standsBehind } from './workload-endpoint.ts';
import { workloads } from './workloads.ts';

/** Whose targets: a workload of the registry, or what a proxy says of itself where the registry lacks it. */
export interface TargetsKey {
  readonly namespace: string;
  readonly addresses: readonly string[];
  /** Key of the workload, where it is known. */
  readonly workload?: string;
  /** Labels by the proxy's metadata, used where the workload is not known (contract 5.2, #2). */
  readonly labels?: Readonly<Record<string, string>>;
  /** Named ports by the proxy's metadata. */
  readonly ports?: Readonly<Record<string, number>>;
}

/** Service ports that a workload serves, Kubernetes' services first, sorted by service and port, each once. */
export const serviceTargetsOf = query<TargetsKey, readonly ServiceTarget[]>('service-targets', (read, key) => {
  const known = key.workload === undefined ? undefined : read(workloads, key.workload);
  const workload = known ?? describedWorkload(key);
  const selected = targetsBySelector(read, workload);
  const kubernetes = selected.filter((target) => read(services, target.service)?.registry === 'Kubernetes');
  const all = [
    ...selected,
    ...(kubernetes.length === 0 ? targetsBySlices(read, key.namespace, key.addresses) : []),
    ...targetsByEntries(read, key.namespace, key.addresses),
  ];
  const unique = new Map(all.map((target) => [`${target.service}|${target.port}|${target.targetPort}`, target]));
  const order = (target: ServiceTarget): number => (read(services, target.service)?.registry === 'Kubernetes' ? 0 : 1);
  return [...unique.values()].sort((a, b) => order(a) - order(b) || compareTargets(a, b));
});

function targetsBySelector(read: Read, workload: Workload): readonly ServiceTarget[] {
  const entries = Object.entries(workload.labels).map(([name, value]) =>
    selectorEntry(workload.namespace, { [name]: value }),
  );
  return entries
    .flatMap((entry) => read(servicesBySelector, entry))
    .flatMap((key) => {
      const service = read(services, key);
      if (service === undefined || !standsBehind(workload, service)) return [];
      const selecting = partsOf(service).filter(
        ({ selector }) => selector !== undefined && selects(selector, workload.labels),
      );
      return selecting.flatMap((part) =>
        part.ports.flatMap((port) => {
          const targetPort = targetPortOf(part, port, workload);
          return targetPort === undefined ? [] : [{ service: key, port: port.number, targetPort }];
        }),
      );
    });
}

/** Services without a selector whose slices somebody wrote by hand. */
function targetsBySlices(read: Read, namespace: string, addresses: readonly string[]): readonly ServiceTarget[] {
  return addresses
    .flatMap((address) => read(slicesByAddress, address))
    .flatMap((key) => {
      const slice = read(endpointSlices, key);
      if (slice === undefined || slice.metadata.namespace !== namespace) return [];
      const name = slice.metadata.labels?.['kubernetes.io/service-name'] ?? '';
      return read(servicesByObject, `Service|${namespace}/${name}`).flatMap((service) =>
        (read(services, service)?.ports ?? []).flatMap((port) => {
          const found = slice.ports?.find((candidate) => (candidate.name ?? '') === port.name);
          return found?.port === undefined ? [] : [{ service, port: port.number, targetPort: found.port }];
        }),
      );
    });
}

/** ServiceEntries that list the workload's address. */
function targetsByEntries(read: Read, namespace: string, addresses: readonly string[]): readonly ServiceTarget[] {
  return addresses.flatMap((address) =>
    read(entriesByAddress, address).flatMap((key) => {
      const entry = objectOf(read, 'ServiceEntry', key);
      const endpoint = entry?.spec.endpoints?.find((item) => item.address === address);
      if (entry === undefined || endpoint === undefined || entry.metadata.namespace !== namespace) return [];
      return read(servicesByObject, `ServiceEntry|${key}`).flatMap((service) => {
        const found = read(services, service);
        const own = found && partsOf(found).find(({ name }) => name === entry.metadata.name);
        return (own?.ports ?? []).map((port) => {
          const number = typeof port.targetPort === 'number' ? port.targetPort : port.number;
          return { service, port: port.number, targetPort: endpoint.ports?.[port.name] ?? number };
        });
      });
    }),
  );
}

function describedWorkload(key: TargetsKey): Workload {
  return {
    key: '',
    kind: 'Pod',
    name: '',
    namespace: key.namespace,
    addresses: key.addresses,
    labels: key.labels ?? {},
    serviceAccount: '',
    identity: '',
    locality: { region: '', zone: '', subzone: '' },
    network: '',
    nodeName: '',
    tlsMode: 'disabled',
    workloadName: '',
    ports: key.ports ?? {},
    weight: 0,
    ready: true,
    terminating: false,
    hostNetwork: false,
  };
}

function compareTargets(a: ServiceTarget, b: ServiceTarget): number {
  return compareText(a.service, b.service) || a.port - b.port || a.targetPort - b.targetPort;
}
