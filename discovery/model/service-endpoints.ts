// The endpoints of a service's port, from EndpointSlices, pods, WorkloadEntries and what ServiceEntries list.
import { compareText } from '../../config/object.ts';
import { query, type Read } from '../graph/graph.ts';
import type { Endpoint } from './endpoint.ts';
import { slicesByService } from './endpoint-slices.ts';
import { inlineEndpoints } from './entry-endpoints.ts';
import { objectOf } from './object-collection.ts';
import { facts, mesh } from './objects.ts';
import type { Service, ServicePort } from './service.ts';
import { partsOf, services } from './services.ts';
import { sliceEndpoints } from './slice-endpoints.ts';
import { endpointOfWorkload, standsBehind } from './workload-endpoint.ts';
import { selectedWorkloads } from './workloads.ts';

/** A port of a service: the service's key and the port's number. */
export interface ServicePortKey {
  readonly service: string;
  readonly port: number;
}

const idOf = ({ service, port }: ServicePortKey): string => `${service}|${port}`;

/** Endpoints of a service's port, in a stable order; empty where either does not exist. */
export const serviceEndpoints = query<ServicePortKey, readonly Endpoint[]>(
  'service-endpoints',
  (read, { service: key, port: number }) => {
    const service = read(services, key);
    const port = service === undefined ? undefined : portOf(service, number);
    if (service === undefined || port === undefined) return [];
    if (service.registry === 'Kubernetes') return kubernetesEndpoints(read, service, port);
    return partsOf(service).flatMap((part) => {
      const own = portOf(part, number);
      return own === undefined ? [] : entryEndpoints(read, part, own);
    });
  },
  { idOf },
);

/** SPIFFE ids of the workloads behind a service's port, sorted: what its clients accept as server. */
export const serviceIdentities = query<ServicePortKey, readonly string[]>(
  'service-identities',
  (read, key) => {
    const identities = read(serviceEndpoints, key).map((endpoint) => endpoint.identity);
    return [...new Set(identities)].filter((identity) => identity !== '').sort(compareText);
  },
  { idOf },
);

/**
 * Names that a service's server certificate may carry, sorted: identities of its workloads over all ports, in every
 * trust domain that the mesh takes for its own, and the SANs of its ServiceEntries.
 */
export const serverNames = query('server-names', (read, key: string): readonly string[] => {
  const service = read(services, key);
  if (service === undefined) return [];
  const identities = service.ports.flatMap((port) => read(serviceIdentities, { service: key, port: port.number }));
  const aliases = read(trustDomainAliases, 'mesh');
  const expanded = identities.flatMap((identity) => [
    identity,
    ...aliases.map((alias) => identity.replace(/^spiffe:\/\/[^/]*/, `spiffe://${alias}`)),
  ]);
  return [...new Set([...expanded, ...service.subjectAltNames])].sort(compareText);
});

const trustDomainAliases = query(
  'trust-domain-aliases',
  (read, _key: 'mesh') => read(mesh, 'mesh').trustDomainAliases ?? [],
);

/** A service's port by number; of a TCP and a UDP port of one number the former. */
export function portOf(service: Service, number: number): ServicePort | undefined {
  const same = service.ports.filter((port) => port.number === number);
  return same.find((port) => port.protocol !== 'udp') ?? same[0];
}

function kubernetesEndpoints(read: Read, service: Service, port: ServicePort): readonly Endpoint[] {
  if (service.resolution === 'alias') return [];
  const cluster = read(facts, 'facts').cluster;
  if (service.externalName !== undefined) return [hostEndpoint(service, port, service.externalName, cluster)];
  const selection = { namespace: service.namespace, selector: service.selector ?? {} };
  const selected = selectedWorkloads(read, selection);
  const slices = read(slicesByService, `${service.source.namespace}/${service.source.name}`);
  // Where nobody writes slices (a folder of YAML) the pods say themselves which service they serve.
  const direct = selected.filter((workload) =>
    workload.kind === 'WorkloadEntry' ? standsBehind(workload, service) : slices.length === 0,
  );
  return [
    ...sliceEndpoints(read, slices, service, port),
    ...direct.flatMap((workload) => endpointOfWorkload(workload, service, port, cluster)),
  ].sort(compareEndpoints);
}

/** Endpoints of a port that one ServiceEntry defines. */
function entryEndpoints(read: Read, service: Service, port: ServicePort): readonly Endpoint[] {
  const { source } = service;
  const entry = objectOf(read, 'ServiceEntry', `${source.namespace}/${source.name}`);
  if (entry === undefined) return [];
  const cluster = read(facts, 'facts').cluster;
  const selector = entry.spec.workloadSelector?.labels;
  if (selector !== undefined) {
    return selectedWorkloads(read, { namespace: source.namespace, selector })
      .filter((workload) => (workload.kind === 'WorkloadEntry' || workload.ready) && standsBehind(workload, service))
      .flatMap((workload) => endpointOfWorkload(workload, service, port, cluster))
      .sort(compareEndpoints);
  }
  if ((entry.spec.endpoints ?? []).length > 0) return inlineEndpoints(read, entry, port);
  const byName = service.resolution === 'dns' || service.resolution === 'dns-round-robin';
  return byName ? [hostEndpoint(service, port, service.hostname, cluster)] : [];
}

/** The endpoint of a service that is found by a host name alone. */
function hostEndpoint(service: Service, port: ServicePort, host: string, cluster: string): Endpoint {
  return {
    address: host,
    port: typeof port.targetPort === 'number' && service.registry === 'External' ? port.targetPort : port.number,
    portName: port.name,
    labels: service.labels,
    identity: '',
    locality: { region: '', zone: '', subzone: '' },
    network: '',
    cluster,
    weight: 0,
    health: 'unknown',
    tlsMode: 'disabled',
    nodeName: '',
    namespace: service.namespace,
    workloadName: service.name,
  };
}

function compareEndpoints(a: Endpoint, b: Endpoint): number {
  return (
    compareText(a.address, b.address) ||
    a.port - b.port ||
    compareText(a.namespace, b.namespace) ||
    compareText(a.workloadName, b.workloadName)
  );
}
