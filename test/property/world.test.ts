// Properties of translation over random worlds: a change leaves exactly what a computation from scratch gives.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defaultMeshConfig, type MeshConfig } from '../../config/mesh.ts';
import type { ObjectChange } from '../../config/sources/source.ts';
import { findResource, listResources, type ResourceJson, routeNamesOf } from '../../discovery/dump.ts';
import type { Graph } from '../../discovery/graph/graph.ts';
import { factsInput, meshInput } from '../../discovery/model/objects.ts';
import { classOf } from '../../discovery/proxy/classify.ts';
import type { Proxy } from '../../discovery/proxy/proxy.ts';
import type { ProxyClass } from '../../discovery/proxy/proxy-class.ts';
import type { EncodedResource } from '../../discovery/resource.ts';
import { createGraph, writeObjects } from '../../discovery/world.ts';
import { pushOrder } from '../../discovery/xds-types.ts';
import { meshVariant, type RawObject, slots, someProxies, variantOf } from '../support/random-world.ts';
import { changeOf, connect, graphOf, jsonOf, testFacts } from '../support/world.ts';

/** What an edit changes: a slot by its place, or the mesh configuration for places beyond them. */
interface Edit {
  readonly place: number;
  readonly seed: number;
}

const editOf = fc.record({ place: fc.nat(slots.length), seed: fc.nat(0xffffffff) });
const names = ['80', '443', '7000', '7070', '9000', '9080', 'http_proxy', 'inbound|9080||', 'http.80', 'http.443'];
const settings = { seed: 20261123, endOnFailure: true } as const;

/** The world that edits have made so far, as plain objects. */
class Book {
  readonly held = new Map<number, RawObject>();
  mesh: MeshConfig = defaultMeshConfig;

  /** Applies an edit here and, where one is given, to a graph. */
  apply({ place, seed }: Edit, graph?: Graph): void {
    const slot = slots[place];
    if (slot === undefined) {
      this.mesh = meshVariant(seed);
      graph?.write(meshInput, 'mesh', this.mesh);
      return;
    }
    const raw = variantOf(slot, seed);
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
    for (const place of slots.keys()) this.apply({ place, seed: Math.imul(seed + place, 0x9e3779b1) >>> 0 }, graph);
  }

  fresh(): Graph {
    return withProxies(graphOf([...this.held.values()], this.mesh));
  }
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

/** Whether the world holds what a cluster stands for, for everybody: then nobody may be without it. */
function mustExist(book: Book, cluster: string): boolean {
  const [direction, port, subset, host] = cluster.split('|');
  if (direction !== 'outbound') return true;
  // Subsets may have gone with their rule.
  if (subset !== '') return false;
  const [name, namespace, ...rest] = (host ?? '').split('.');
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

describe('translation', () => {
  test('incremental equals from scratch, over thousands of edits', { timeout: 120_000 }, () => {
    let edits = 0;
    const list = fc.array(editOf, { minLength: 80, maxLength: 100, size: 'max' });
    const property = fc.property(fc.nat(), list, (seed, changes) => {
      const [graph, book] = [emptyGraph(), new Book()];
      book.fill(seed, graph);
      for (const [i, edit] of changes.entries()) {
        book.apply(edit, graph);
        edits++;
        // Reading in between leaves remembered values for the next edits to make stale.
        if (i % 5 === 0) for (const proxy of someProxies) stateOf(graph, proxy);
        if (i % 25 === 24 || i === changes.length - 1) expectSame(graph, book.fresh());
      }
    });
    fc.assert(property, { ...settings, numRuns: 25 });
    expect(edits).toBeGreaterThanOrEqual(2000);
  });

  test('the order of the same events does not change a byte', { timeout: 120_000 }, () => {
    const property = fc.property(fc.nat(), fc.array(fc.nat(), { minLength: 8, maxLength: 8 }), (seed, order) => {
      const book = new Book();
      book.fill(seed);
      const shuffled = [...book.held.values()]
        .map((raw, i) => ({ raw, at: Math.imul(i + 1, (order[i % order.length] as number) | 1) >>> 0 }))
        .sort((a, b) => a.at - b.at);
      const graph = emptyGraph();
      for (const [i, { raw }] of shuffled.entries()) {
        const change = changeOf(raw);
        if (change !== undefined) writeObjects(graph, [change]);
        if (i % 10 === 0) for (const proxy of someProxies) stateOf(graph, proxy);
      }
      expectSame(graph, book.fresh());
    });
    fc.assert(property, { ...settings, numRuns: 15 });
  });

  test('no proxy is told to use a cluster or route configuration that it cannot get', { timeout: 120_000 }, () => {
    const property = fc.property(fc.nat(), fc.nat(), (seed, mesh) => {
      const book = new Book();
      book.fill(seed);
      if (mesh % 2 === 0) book.mesh = meshVariant(mesh);
      const graph = book.fresh();
      for (const proxy of someProxies) expect(danglingOf(graph, proxy, book), proxy.nodeId).toEqual([]);
    });
    fc.assert(property, { ...settings, numRuns: 40 });
  });
});
