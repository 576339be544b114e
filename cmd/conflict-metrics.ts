// Metrics of configuration that is in the way of other configuration, by istiod's names (contract 4.13), found at each scrape.
import type { Registry } from 'prom-client';
import type { KindName, ObjectOf } from '../config/kinds/kinds.ts';
import { fullHost, isOfMesh } from '../config/relations/view.ts';
import type { Store } from '../config/store.ts';
import type { Graph } from '../discovery/graph/graph.ts';
import { isCounted } from '../discovery/model/object-collection.ts';
import type { Service } from '../discovery/model/service.ts';
import { serviceEndpoints } from '../discovery/model/service-endpoints.ts';
import { serviceKeys, services } from '../discovery/model/services.ts';
import { sidecarScope } from '../discovery/model/sidecar-scope.ts';
import type { ProxyClass } from '../discovery/proxy/proxy-class.ts';
import type { XdsStream } from '../discovery/xds/stream.ts';
import { gaugeIn } from './metrics.ts';

/** What they look at. */
export interface ConflictMetricsParts {
  readonly registry: Registry;
  readonly store: Store;
  readonly graph: Graph;
  readonly streams: () => Iterable<Pick<XdsStream, 'proxyClass'>>;
  /** DNS domain of services. */
  readonly domain: string;
}

/** Adds them. What is counted over all objects is counted again only after something changed. */
export function addConflictMetrics(parts: ConflictMetricsParts): void {
  const { registry, store, graph, domain } = parts;
  const counted = <K extends KindName>(kind: K): readonly ObjectOf<K>[] =>
    store.list(kind).filter(({ metadata }) => isCounted(graph.read, kind, metadata.namespace));
  const kept = (make: () => number) => keptBy(() => graph.stats().revision, make);
  const gauge = gaugeIn(registry);
  gauge(
    'pilot_vservice_dup_domain',
    'Hosts that several VirtualServices of one namespace route in the mesh: the oldest counts.',
    kept(() => sharedHosts(counted('VirtualService'), domain)),
  );
  gauge(
    'pilot_destrule_subsets',
    'Hosts for which several DestinationRules of one namespace define the same subset: the oldest counts.',
    kept(() => sharedSubsets(counted('DestinationRule'), domain)),
  );
  gauge(
    'pilot_conflict_outbound_listener_tcp_over_current_tcp',
    'Ports on which TCP services without an address are in each other’s way: one is served, except where DNS is captured.',
    kept(() => sharedPorts(allServices(graph))),
  );
  gauge(
    'pilot_dns_cluster_without_endpoints',
    'Ports of services found by DNS for which no workload is selected.',
    kept(() => emptyDnsPorts(graph)),
  );
  gauge(
    'pilot_conflict_inbound_listener',
    'Connected sidecars with a port for which services of different protocols are: the oldest counts.',
    () => [...parts.streams()].filter(({ proxyClass }) => proxyClass !== undefined && isTorn(graph, proxyClass)).length,
  );
}

/** A value that is made anew only under another stamp. */
function keptBy<T>(stamp: () => number, make: () => T): () => T {
  let kept: { readonly at: number; readonly value: T } | undefined;
  return () => {
    const at = stamp();
    if (kept?.at !== at) kept = { at, value: make() };
    return kept.value;
  };
}

function sharedHosts(routes: readonly ObjectOf<'VirtualService'>[], domain: string): number {
  const hosts = routes.filter(isOfMesh).flatMap(({ spec, metadata: { namespace } }) => {
    const own = new Set((spec.hosts ?? []).map((host) => `${namespace}/${fullHost(host, namespace, domain)}`));
    return [...own];
  });
  return repeated(hosts).size;
}

function sharedSubsets(rules: readonly ObjectOf<'DestinationRule'>[], domain: string): number {
  const subsets = rules.flatMap(({ spec, metadata: { namespace } }) => {
    const host = fullHost(spec.host ?? '', namespace, domain);
    return [...new Set((spec.subsets ?? []).map(({ name }) => `${namespace}/${host}/${name}`))];
  });
  return new Set([...repeated(subsets)].map((subset) => subset.slice(0, subset.lastIndexOf('/')))).size;
}

function repeated(texts: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>();
  return new Set(texts.filter((text) => seen.has(text) || !seen.add(text)));
}

/** Protocols that say nothing of where a connection goes: only its address and port can. */
const blind: ReadonlySet<string> = new Set(['tcp', 'mongo', 'mysql', 'redis']);

/** Those of the wildcard address; headless services of Kubernetes have listeners for each endpoint. */
function sharedPorts(all: readonly Service[]): number {
  const byPort = new Map<number, Service[]>();
  for (const service of all) {
    const isBare = service.registry === 'External' && service.addresses.length === 0;
    if (!isBare || service.resolution === 'passthrough' || service.resolution === 'alias') continue;
    for (const { number } of service.ports.filter(({ protocol }) => blind.has(protocol)))
      byPort.set(number, [...(byPort.get(number) ?? []), service]);
  }
  return [...byPort.values()].filter((same) =>
    same.some((one, i) => same.slice(0, i).some((other) => meet(one, other))),
  ).length;
}

/** Whether some namespace sees both. */
function meet({ exportTo: a }: Service, { exportTo: b }: Service): boolean {
  return a === 'everyone' ? b === 'everyone' || b.length > 0 : a.some((one) => b === 'everyone' || b.includes(one));
}

function emptyDnsPorts(graph: Graph): number {
  return allServices(graph)
    .filter(({ resolution }) => resolution === 'dns' || resolution === 'dns-round-robin')
    .flatMap(({ key: service, ports }) => ports.map(({ number: port }) => ({ service, port })))
    .filter((key) => graph.read(serviceEndpoints, key).length === 0).length;
}

function allServices(graph: Graph): readonly Service[] {
  return graph
    .read(serviceKeys, 'all')
    .map((key) => graph.read(services, key))
    .filter((service) => service !== undefined);
}

/** Where a Sidecar lists ports, services do not decide. */
function isTorn(graph: Graph, { flavour, namespace, scope, targets }: ProxyClass): boolean {
  if (flavour !== 'sidecar' || targets.length < 2) return false;
  if (graph.read(sidecarScope, { namespace, scope }).ingress.length > 0) return false;
  const byPort = new Map<number, { readonly service: string; readonly protocol: string }>();
  return targets.some(({ service, port, targetPort }) => {
    const protocol = graph.read(services, service)?.ports.find(({ number }) => number === port)?.protocol;
    const other = byPort.get(targetPort);
    if (protocol === undefined) return false;
    if (other === undefined) byPort.set(targetPort, { service, protocol });
    return other !== undefined && other.service !== service && other.protocol !== protocol;
  });
}
