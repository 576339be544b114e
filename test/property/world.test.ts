// Properties of translation over random worlds: a change leaves exactly what a computation from scratch gives.

import { isIP } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { Namespace } from '../../config/kinds/namespace.ts';
import { defaultMeshConfig, type MeshConfig } from '../../config/mesh.ts';
import type { ObjectChange } from '../../config/sources/source.ts';
import { findResource, listResources, type ResourceJson, routeNamesOf } from '../../discovery/dump.ts';
import type { Graph } from '../../discovery/graph/graph.ts';
import { selectsNamespace } from '../../discovery/model/discovered.ts';
import { networkGateways } from '../../discovery/model/network-gateways.ts';
import { factsInput, meshInput } from '../../discovery/model/objects.ts';
import { serviceEndpoints } from '../../discovery/model/service-endpoints.ts';
import { serviceKeys, services } from '../../discovery/model/services.ts';
import { classOf } from '../../discovery/proxy/classify.ts';
import type { Proxy } from '../../discovery/proxy/proxy.ts';
import type { ProxyClass } from '../../discovery/proxy/proxy-class.ts';
import type { EncodedResource } from '../../discovery/resource.ts';
import { createGraph, writeObjects } from '../../discovery/world.ts';
import { pushOrder } from '../../discovery/xds-types.ts';
import { fc, isUsualSeed } from '../support/property.ts';
import { randomOf } from '../support/random.ts';
import { type RawObject, variantOf } from '../support/random-world/slot.ts';
import { meshVariant, slots, someProxies } from '../support/random-world/world.ts';
import { changeOf, connect, graphOf, jsonOf, testFacts } from '../support/world.ts';

/** What an edit changes: a slot by its place, or the mesh configuration for places beyond them. */
interface Edit {
  readonly place: number;
  readonly seed: number;
  /** Only one part of what is there changes: metadata, spec, status. */
  readonly isPartial?: boolean;
}

/** Places that touch much at once: the mesh configuration, namespaces with their labels, and nodes. */
const wide = [...slots.keys(), slots.length].filter((place) =>
  ['Namespace', 'Node', undefined].includes(slots[place]?.kind),
);
/** Without bias towards small numbers, which would give the same few worlds. */
const anySeed = fc.noBias(fc.nat(0xffffffff));
const editOf = fc.record({
  place: fc.oneof({ weight: 5, arbitrary: fc.nat(slots.length) }, { weight: 1, arbitrary: fc.constantFrom(...wide) }),
  seed: anySeed,
  isPartial: fc.boolean(),
});
const names = ['80', '443', '7000', '7070', '9000', '9080', 'http_proxy', 'inbound|9080||', 'http.80', 'http.443'];
const settings = { endOnFailure: true } as const;

const seedOf = (seed: number, place: number): number => Math.imul(seed + place, 0x9e3779b1) >>> 0;

/** The world that edits have made so far, as plain objects. */
class Book {
  readonly held = new Map<number, RawObject>();
  mesh: MeshConfig = defaultMeshConfig;

  /** Applies an edit here and, where one is given, to a graph. */
  apply({ place, seed, isPartial = false }: Edit, graph?: Graph): void {
    const slot = slots[place];
    if (slot === undefined) {
      this.mesh = meshVariant(seed);
      graph?.write(meshInput, 'mesh', this.mesh);
      return;
    }
    const before = isPartial ? this.held.get(place) : undefined;
    const variant = variantOf(slot, seed);
    const raw = before === undefined || variant === undefined ? variant : withPartOf(before, variant, seed);
    if (raw === undefined) this.held.delete(place);
    else this.held.set(place, raw);
    if (graph === undefined) return;
    const { kind, apiVersion, namespace, name } = slot;
    const change = changeOf(raw ?? { apiVersion, kind, metadata: { namespace, name } });
    if (change === undefined) throw new Error(`${kind} is no kind`);
    writeObjects(graph, [raw === undefined ? ({ ...change, object: undefined } as ObjectChange) : change]);
  }

  /** Puts something into most places. */
  fill(seed: number, graph?: Graph): void {
    for (const place of slots.keys()) this.apply({ place, seed: seedOf(seed, place) }, graph);
  }

  fresh(): Graph {
    return withProxies(graphOf([...this.held.values()], this.mesh));
  }
}

/** An object with one part of another. */
function withPartOf(object: RawObject, other: RawObject, seed: number): RawObject {
  const parts = Object.keys(other).filter((name) => name !== 'apiVersion' && name !== 'kind');
  const part = parts[seed % parts.length] as string;
  return { ...object, [part]: other[part] };
}

function emptyGraph(): Graph {
  const graph = createGraph();
  graph.write(meshInput, 'mesh', defaultMeshConfig);
  graph.write(factsInput, 'facts', testFacts);
  return withProxies(graph);
}

function withProxies(graph: Graph): Graph {
  for (const proxy of someProxies) connect(graph, proxy);
  return graph;
}

function classIn(graph: Graph, proxy: Proxy): ProxyClass {
  return graph.read(classOf, proxy.nodeId) as ProxyClass;
}

/** All that a proxy can get: what is listed, what its clusters and listeners name, and a few names besides. */
function stateOf(graph: Graph, proxy: Proxy): ReadonlyMap<string, string> {
  const client = classIn(graph, proxy);
  const state = new Map<string, string>();
  const put = (type: string, resource: EncodedResource | undefined, name = resource?.name ?? ''): void => {
    state.set(`${type} ${name}`, resource?.version ?? 'absent');
  };
  const clusters = listResources(graph, client, 'cluster');
  for (const type of pushOrder) for (const resource of listResources(graph, client, type)) put(type, resource);
  for (const { name } of clusters) put('endpoint', findResource(graph, client, 'endpoint', name), name);
  for (const name of names) put('route', findResource(graph, client, 'route', name), name);
  return state;
}

/** The first differences, for messages. */
function differences(found: ReadonlyMap<string, string>, expected: ReadonlyMap<string, string>): readonly string[] {
  const all = [...new Set([...found.keys(), ...expected.keys()])].sort();
  return all
    .filter((key) => found.get(key) !== expected.get(key))
    .map((key) => `${key}: ${found.get(key) ?? 'not listed'} instead of ${expected.get(key) ?? 'not listed'}`)
    .slice(0, 5);
}

function expectSame(graph: Graph, fresh: Graph): void {
  for (const proxy of someProxies) {
    const wrong = differences(stateOf(graph, proxy), stateOf(fresh, proxy));
    if (wrong.length > 0) throw new Error(`${proxy.nodeId}:\n${wrong.join('\n')}`);
  }
}

/** Sweeps so many cells at most. */
function sweepSome(graph: Graph, most: number): void {
  let left = most;
  graph.sweep(() => --left <= 0);
}

/** How many cells each node has, nodes without any left out. */
function cellsOf(graph: Graph): readonly string[] {
  return [...graph.stats().cells].flatMap(([name, count]) => (count === 0 ? [] : [`${name} ${count}`])).sort();
}

type Visit = (value: Readonly<Record<string, unknown>>) => void;

function visit(value: unknown, see: Visit): void {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) see(value as Readonly<Record<string, unknown>>);
  for (const item of Object.values(value)) visit(item, see);
}

/** Clusters that routes and proxies of TCP in these resources send requests to. */
function clustersIn(resources: readonly ResourceJson[]): ReadonlySet<string> {
  const found = new Set<string>();
  visit(resources, ({ cluster, clusters }) => {
    if (typeof cluster === 'string') found.add(cluster);
    for (const item of Array.isArray(clusters) ? clusters : []) {
      const { name } = item as { readonly name?: unknown };
      if (typeof name === 'string') found.add(name);
    }
  });
  return found;
}

/** Whether discoverySelectors leave a namespace in. */
function isSelected({ held, mesh }: Book, name: string): boolean {
  const object = [...held.values()].find(({ kind, metadata }) => kind === 'Namespace' && metadata['name'] === name);
  return selectsNamespace(mesh.discoverySelectors, name, object as Namespace | undefined);
}

/** Whether the world holds what a cluster stands for, for everybody: then nobody may be without it. */
function mustExist(book: Book, cluster: string): boolean {
  const [direction, port, subset, host] = cluster.split('|');
  if (direction !== 'outbound') return true;
  // Subsets may have gone with their rule.
  if (subset !== '') return false;
  const [name, namespace = '', ...rest] = (host ?? '').split('.');
  if (!isSelected(book, namespace)) return false;
  if (rest.join('.') !== 'svc.cluster.local' || book.mesh.defaultServiceExportTo?.[0] === '.') return false;
  const found = [...book.held.values()].find(
    ({ kind, metadata }) => kind === 'Service' && metadata['name'] === name && metadata['namespace'] === namespace,
  );
  if (found === undefined || Object.hasOwn(found.metadata['annotations'] ?? {}, 'networking.istio.io/exportTo'))
    return false;
  const { ports, type } = found['spec'] as {
    readonly ports?: readonly { readonly port: number }[];
    readonly type?: string;
  };
  return type !== 'ExternalName' && (ports ?? []).some((one) => String(one.port) === port);
}

/** References without a target: clusters and route configurations that a proxy is told to use and cannot get. */
function danglingOf(graph: Graph, proxy: Proxy, book: Book): readonly string[] {
  const client = classIn(graph, proxy);
  const listeners = listResources(graph, client, 'listener').map(jsonOf);
  const routeNames = routeNamesOf(listeners);
  const routes = routeNames.map((name) => findResource(graph, client, 'route', name));
  const lost = routeNames.filter((_, i) => routes[i] === undefined).map((name) => `route configuration ${name}`);
  const found = routes.filter((route) => route !== undefined).map(jsonOf);
  const clusters = new Set(listResources(graph, client, 'cluster').map(({ name }) => name));
  const missing = [...clustersIn([...listeners, ...found])].filter(
    (name) =>
      !clusters.has(name) && findResource(graph, client, 'cluster', name) === undefined && mustExist(book, name),
  );
  return [...lost, ...missing.map((name) => `cluster ${name}`)];
}

/** Names and paths among the endpoints of services that come by EDS, for one of which Envoy refuses all. */
function misplacedOf({ read }: Graph): readonly string[] {
  const found = read(serviceKeys, 'all').flatMap((key) => read(services, key) ?? []);
  return found
    .filter(({ resolution }) => resolution === 'endpoints' || resolution === 'passthrough')
    .flatMap(({ key: service, ports }) =>
      ports.flatMap(({ number: port }) => read(serviceEndpoints, { service, port })),
    )
    .flatMap(({ address }) => (isIP(address) === 0 ? [address] : []));
}

/** What a set of worlds must show for the properties to say anything of it. */
const sights = [
  'a Service with names of a ServiceEntry',
  'a WorkloadEntry behind a Service',
  'a WorkloadEntry of a name behind a ServiceEntry',
  'a draining endpoint',
  'a gateway at a node',
  'a namespace that is not selected',
  'a pod behind a ServiceEntry',
  'a service near the node',
  'a service near the zone',
  'a service of the node alone',
  'a service that publishes what is not ready',
  'an endpoint in a sub-zone',
  'an endpoint that is not ready',
] as const;

/** Which of these a world shows. */
function sightsOf({ read }: Graph, book: Book): readonly (typeof sights)[number][] {
  const found = read(serviceKeys, 'all').flatMap((key) => read(services, key) ?? []);
  const endpoints = found.flatMap((service) =>
    service.ports.flatMap(({ number }) =>
      read(serviceEndpoints, { service: service.key, port: number }).map((endpoint) => ({ service, endpoint })),
    ),
  );
  const has: Readonly<Record<(typeof sights)[number], boolean>> = {
    'a WorkloadEntry behind a Service': endpoints.some(
      ({ service, endpoint }) => service.registry === 'Kubernetes' && endpoint.address.startsWith('10.8.'),
    ),
    'a WorkloadEntry of a name behind a ServiceEntry': endpoints.some(
      ({ endpoint }) => endpoint.address === 'vm.example',
    ),
    'a Service with names of a ServiceEntry': found.some(
      ({ registry, subjectAltNames }) => registry === 'Kubernetes' && subjectAltNames.length > 0,
    ),
    'a draining endpoint': endpoints.some(({ endpoint }) => endpoint.health === 'draining'),
    'a gateway at a node': read(networkGateways, 'all').some(
      ({ address, port }) => address.startsWith('192.0.2.') && port > 30_000,
    ),
    'a namespace that is not selected': ['red', 'blue'].some((name) => !isSelected(book, name)),
    'a pod behind a ServiceEntry': endpoints.some(
      ({ service, endpoint }) => service.registry === 'External' && endpoint.address.startsWith('10.1.'),
    ),
    'a service near the node': found.some(({ trafficDistribution }) => trafficDistribution === 'same-node'),
    'a service near the zone': found.some(({ trafficDistribution }) => trafficDistribution === 'same-zone'),
    'a service of the node alone': found.some(({ nodeLocal }) => nodeLocal),
    'a service that publishes what is not ready': found.some(({ publishNotReady }) => publishNotReady),
    'an endpoint in a sub-zone': endpoints.some(({ endpoint }) => endpoint.locality.subzone !== ''),
    'an endpoint that is not ready': endpoints.some(({ endpoint }) => endpoint.health === 'unhealthy'),
  };
  return sights.filter((sight) => has[sight]);
}

describe('translation', () => {
  test('incremental equals from scratch, over thousands of edits', { timeout: 120_000 }, () => {
    let edits = 0;
    const seen = new Set<string>();
    const list = fc.array(editOf, { minLength: 80, maxLength: 100, size: 'max' });
    const property = fc.property(anySeed, list, (seed, changes) => {
      const [graph, book] = [emptyGraph(), new Book()];
      book.fill(seed, graph);
      for (const [i, edit] of changes.entries()) {
        book.apply(edit, graph);
        edits++;
        // Reading in between leaves remembered values for the next edits to make stale.
        if (i % 5 === 0) for (const proxy of someProxies) stateOf(graph, proxy);
        // Sweeping leaves some of them, and others not.
        if (i % 7 === 3) sweepSome(graph, edit.seed % 2000);
        if (i % 25 !== 24 && i !== changes.length - 1) continue;
        const fresh = book.fresh();
        expectSame(graph, fresh);
        for (const sight of sightsOf(fresh, book)) seen.add(sight);
        if (i % 2 === 0) continue;
        for (const one of [graph, fresh]) one.sweep();
        expect(cellsOf(graph)).toEqual(cellsOf(fresh));
        expect(graph.size).toBe(fresh.size);
      }
    });
    fc.assert(property, { ...settings, numRuns: 25 });
    expect(edits).toBeGreaterThanOrEqual(2000);
    if (isUsualSeed) expect([...seen].sort()).toEqual(sights);
  });

  test('the order of the same events does not change a byte', { timeout: 120_000 }, () => {
    const seen = new Set<string>();
    const property = fc.property(anySeed, anySeed, (seed, order) => {
      const [graph, book] = [emptyGraph(), new Book()];
      const random = randomOf(order);
      // Every place has one version after another, in their order; between places there is none.
      const histories = [...slots.keys(), slots.length].flatMap((place) => {
        const seeds = Array.from({ length: random() < 0.3 ? 2 : 1 }, (_, n) => seedOf(seed + n, place));
        const times = seeds.map(() => random()).sort((a, b) => a - b);
        return seeds.map((own, n) => ({ edit: { place, seed: own }, at: times[n] ?? 0 }));
      });
      for (const [i, { edit }] of histories.sort((a, b) => a.at - b.at).entries()) {
        book.apply(edit, graph);
        if (i % 10 === 0) for (const proxy of someProxies) stateOf(graph, proxy);
      }
      const fresh = book.fresh();
      expectSame(graph, fresh);
      for (const sight of sightsOf(fresh, book)) seen.add(sight);
    });
    fc.assert(property, { ...settings, numRuns: 25 });
    if (isUsualSeed) expect([...seen].sort()).toEqual(sights);
  });

  test('no proxy is told to use a cluster, route configuration or endpoint that it cannot have', {
    timeout: 120_000,
  }, () => {
    const property = fc.property(anySeed, anySeed, (seed, mesh) => {
      const book = new Book();
      book.fill(seed);
      if (mesh % 2 === 0) book.mesh = meshVariant(mesh);
      const graph = book.fresh();
      expect(misplacedOf(graph)).toEqual([]);
      for (const proxy of someProxies) expect(danglingOf(graph, proxy, book), proxy.nodeId).toEqual([]);
    });
    fc.assert(property, { ...settings, numRuns: 40 });
  });
});
