// The services of the mesh, one for each namespace and host, with their indexes.
import { compareText } from '../../config/object.ts';
import { grouped, index } from '../graph/collect.ts';
import { query, type Read } from '../graph/graph.ts';
import { autoAddressesOf } from './auto-address.ts';
import type { Service } from './service.ts';
import { serviceDefinitions } from './service-definitions.ts';

/** What a service is made of: the definitions whose endpoints and selectors count, each for its own ports. */
export function partsOf(service: Service): readonly Service[] {
  return service.parts ?? [service];
}

const definitionsByService = index('definitions-by-service', serviceDefinitions, (item) => [item.key]);

/** Services by `namespace/hostname`. */
export const services = grouped<Service>('services', definitionsByService, (read, _key, definitions) => {
  const found = definitions.flatMap((key) => {
    const item = read(serviceDefinitions, key);
    return item === undefined ? [] : [withAutoAddresses(read, key, item)];
  });
  return joined(found.sort(comparePrecedence));
});

/** Keys of all services, under `all`: for what walks the mesh once, such as dumps and lists of namespaces. */
export const serviceKeys = index('service-keys', services, () => ['all']);

/** Keys of services by hostname. */
export const servicesByHost = index('services-by-host', services, (service) => [service.hostname]);

/** Keys of services by namespace. */
export const servicesByNamespace = index('services-by-namespace', services, (service) => [service.namespace]);

/**
 * Keys of services that select workloads, by `namespace|label=value` of the selector's first label: a workload finds
 * the services that may select it by each of its labels.
 */
export const servicesBySelector = index('services-by-selector', services, (service) => {
  if (service.parts === undefined) return selectorEntriesOf(service);
  return [...new Set(service.parts.flatMap(selectorEntriesOf))];
});

/** Keys of the services that an object defines, by `Kind|namespace/name`. */
export const servicesByObject = index('services-by-object', services, (service) =>
  service.sources.map((source) => `${source.kind}|${source.namespace}/${source.name}`),
);

/** Keys of the services that are gateways to some network, under `all`. */
export const servicesWithNetwork = index('services-with-network', services, (service) =>
  service.labels['topology.istio.io/network'] === undefined ? [] : ['all'],
);

const nodeBoundServices = index('node-bound-services', services, (service) =>
  service.nodeLocal || service.trafficDistribution === 'same-node' ? ['all'] : [],
);

/** Whether some service prefers or demands endpoints of the client's own node: else clients need not be told apart by it. */
export const hasNodeLocalServices = query(
  'has-node-local-services',
  (read, _key: 'all') => read(nodeBoundServices, 'all').length > 0,
);

/** The index entry of a selector, or of one label of a workload. */
export function selectorEntry(namespace: string, labels: Readonly<Record<string, string>>): string {
  const [first] = Object.entries(labels).sort(([a], [b]) => compareText(a, b));
  return first === undefined ? namespace : `${namespace}|${first[0]}=${first[1]}`;
}

function selectorEntriesOf({ namespace, selector }: Service): readonly string[] {
  return selector === undefined ? [] : [selectorEntry(namespace, selector)];
}

/** The order in which services of one host are preferred: Kubernetes' first, then by age, name and namespace. */
export function comparePrecedence(a: Service, b: Service): number {
  return (
    Number(a.registry !== 'Kubernetes') - Number(b.registry !== 'Kubernetes') ||
    compareText(a.creationTimestamp, b.creationTimestamp) ||
    compareText(a.name, b.name) ||
    compareText(a.namespace, b.namespace)
  );
}

function withAutoAddresses(read: Read, key: string, service: Service): Service {
  return service.registry === 'External' ? { ...service, autoAddresses: read(autoAddressesOf, key) } : service;
}

/** To a Kubernetes Service, ServiceEntries of its host and namespace add the SANs that its servers may have, nothing else. */
function decorated(service: Service, entries: readonly Service[]): Service {
  const names = new Set(entries.flatMap(({ subjectAltNames }) => subjectAltNames));
  return names.size === 0 ? service : { ...service, subjectAltNames: [...names] };
}

/**
 * ServiceEntries of one namespace and host that agree in resolution act as one, with the ports, addresses and SANs of all;
 * the oldest says what a port is that several have.
 */
function joined(found: readonly Service[]): Service | undefined {
  const [first, ...rest] = found;
  if (first === undefined) return undefined;
  if (first.registry === 'Kubernetes') return decorated(first, rest);
  const same = rest.filter((other) => other.resolution === first.resolution);
  if (same.length === 0) return first;
  const all = [first, ...same];
  const ports = new Map(
    all
      .flatMap((service) => service.ports)
      .map((port) => [port.number, port] as const)
      .reverse(),
  );
  return {
    ...first,
    ports: [...new Set(all.flatMap((service) => service.ports.map((port) => port.number)))].flatMap(
      (number) => ports.get(number) ?? [],
    ),
    addresses: [...new Set(all.flatMap((service) => service.addresses))],
    subjectAltNames: [...new Set(all.flatMap((service) => service.subjectAltNames))],
    sources: all.map((service) => service.source),
    parts: all,
  };
}
