// Goldens of translation: objects and some proxies in, every resource of each out. UPDATE_GOLDEN=1 rewrites them.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { checkObject } from '../../config/check.ts';
import { hasErrors } from '../../config/diagnostic.ts';
import { defaultMeshConfig, type MeshConfig, parseMeshConfig } from '../../config/mesh.ts';
import { keyOf } from '../../config/object.ts';
import type { ObjectChange } from '../../config/sources/source.ts';
import { parseYaml } from '../../config/yaml.ts';
import { findResource, listResources, type ResourceJson, routeNamesOf, secretNamesOf } from '../../discovery/dump.ts';
import type { Graph } from '../../discovery/graph/graph.ts';
import { credentialClock } from '../../discovery/model/credential-clock.ts';
import { parseNode } from '../../discovery/proxy/node.ts';
import type { Proxy } from '../../discovery/proxy/proxy.ts';
import type { ProxyClass } from '../../discovery/proxy/proxy-class.ts';
import { writeObjects } from '../../discovery/world.ts';
import { NodeSchema } from '../../protos/gen/envoy/config/core/v3/base_pb.js';
import { type ResourceSet, validateAll } from '../support/envoy-validate.ts';
import { connect, graphOf, jsonOf, testFacts } from '../support/world.ts';

/** A proxy of a case, as its Node message describes it. */
interface CaseProxy {
  readonly name: string;
  /** Types whose resources the case is about; all where absent. Envoy is asked about all. */
  readonly only?: readonly (keyof GoldenSet)[];
  readonly node: {
    readonly id: string;
    readonly metadata?: Readonly<Record<string, unknown>>;
    readonly locality?: { readonly region: string; readonly zone?: string; readonly subZone?: string };
  };
}

type GoldenSet = Required<ResourceSet>;

const root = import.meta.dirname;
/** Cases of translation are the folders that list proxies; other areas have tests of their own. */
const cases = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name === 'proxies.yaml')
  .map((entry) => entry.parentPath.slice(root.length + 1))
  .sort();

const isUpdate = process.env['UPDATE_GOLDEN'] === '1';
/** Certificates of the cases were valid then. */
const now = Date.parse('2027-01-01T00:00:00Z');

test('there are cases, and no golden without one', () => {
  expect(cases.length).toBeGreaterThan(0);
  const folders = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name === 'expected')
    .map((entry) => entry.parentPath.slice(root.length + 1));
  const orphans = folders.filter((folder) => !cases.includes(folder));
  if (isUpdate) for (const folder of orphans) rmSync(join(root, folder), { recursive: true });
  else expect(orphans).toEqual([]);
});

test('nothing lies about that no case reads', () => {
  const known = ['expected', 'features.yaml', 'files', 'input.yaml', 'mesh.yaml', 'proxies.yaml'];
  const strays = cases.flatMap((name) => readdirSync(join(root, name)).filter((file) => !known.includes(file)));
  expect(strays).toEqual([]);
});

describe.each(cases)('%s', (name) => {
  const proxies = parse(readFileSync(join(root, name, 'proxies.yaml'), 'utf8')) as readonly CaseProxy[];
  const sets = new Map(proxies.map((one) => [one.name, { ...resourcesOf(name, one), only: one.only }]));

  test('resources are the expected ones', () => {
    const actual = new Map([...sets].flatMap(([proxy, { set, only }]) => filesOf(proxy, set, only)));
    const folder = join(root, name, 'expected');
    if (isUpdate) rewrite(folder, actual);
    const golden = readdirSync(folder).map((file): [string, string] => [
      file,
      readFileSync(join(folder, file), 'utf8'),
    ]);
    expect(Object.fromEntries(actual)).toEqual(Object.fromEntries(golden));
  });

  test('Envoy accepts them', async () => {
    const plain = [...sets].filter(([, { proxy }]) => !proxy.capabilities.istioFilters);
    const rejections = await validateAll(new Map(plain.map(([proxy, { set }]) => [proxy, checkable(name, set)])));
    expect(Object.fromEntries(rejections)).toEqual({});
  });
});

function resourcesOf(name: string, { node }: CaseProxy): { readonly proxy: Proxy; readonly set: GoldenSet } {
  const graph = graphOf([], meshOf(name), { ...testFacts, features: featuresOf(name) });
  writeObjects(graph, objectsOf(name));
  graph.write(credentialClock, 'now', now);
  const parsed = parseNode(create(NodeSchema, node as Parameters<typeof create<typeof NodeSchema>>[1]));
  if (parsed.kind === 'invalid') throw new Error(parsed.problem.message);
  return { proxy: parsed.proxy, set: dumped(graph, connect(graph, parsed.proxy)) };
}

/**
 * The case's objects by their schemas, so that a misspelt field makes no golden of its absence. What only rules refuse is
 * let through: a translator must survive it.
 */
function objectsOf(name: string): readonly ObjectChange[] {
  const file = join(root, name, 'input.yaml');
  const { documents, diagnostics } = parseYaml(file, readFileSync(file, 'utf8'));
  const checked = documents.map(({ value }) => checkObject(value));
  const findings = [...diagnostics, ...checked.flatMap((one) => one.diagnostics)];
  if (hasErrors(findings)) throw new Error(JSON.stringify(findings, undefined, 1));
  return checked.flatMap(({ object }) =>
    object === undefined ? [] : [{ kind: object.kind, key: keyOf(object.metadata), object }],
  );
}

function meshOf(name: string): MeshConfig {
  const file = join(root, name, 'mesh.yaml');
  if (!existsSync(file)) return defaultMeshConfig;
  const { mesh, diagnostics } = parseMeshConfig(readFileSync(file, 'utf8'));
  if (mesh === undefined || diagnostics.length > 0) throw new Error(JSON.stringify(diagnostics));
  return mesh;
}

/** Environment variables that switch features on, by istiod's names. */
function featuresOf(name: string): Readonly<Record<string, string>> {
  const file = join(root, name, 'features.yaml');
  return existsSync(file) ? (parse(readFileSync(file, 'utf8')) as Readonly<Record<string, string>>) : {};
}

function dumped(graph: Graph, client: ProxyClass): GoldenSet {
  const clusters = listResources(graph, client, 'cluster').map(jsonOf);
  const listeners = listResources(graph, client, 'listener').map(jsonOf);
  const find = (type: 'route' | 'endpoint' | 'secret', names: readonly string[]): ResourceJson[] =>
    names.flatMap((wanted) => {
      const resource = findResource(graph, client, type, wanted);
      return resource === undefined ? [] : [jsonOf(resource)];
    });
  const assigned = clusters.flatMap((cluster) => (cluster['type'] === 'EDS' ? [String(cluster['name'])] : []));
  return {
    listeners,
    clusters,
    routes: find('route', routeNamesOf(listeners)),
    endpoints: find('endpoint', assigned),
    secrets: find('secret', secretNamesOf([...listeners, ...clusters])),
  };
}

/**
 * What Envoy can check: without keys, which dumps hide, with the case's `files` in the place of /etc/certs, and no log to
 * standard output, which here is a socket and cannot be opened by its path.
 */
function checkable(name: string, { secrets: _hidden, ...set }: GoldenSet): ResourceSet {
  const files = JSON.stringify(join(root, name, 'files')).slice(1, -1);
  const text = JSON.stringify(set).replaceAll('/etc/certs/', `${files}/`).replaceAll('"/dev/stdout"', '"/dev/null"');
  return JSON.parse(text) as ResourceSet;
}

/** One file a proxy and type, so that a change shows where it belongs; empty types have none. */
function filesOf(proxy: string, set: GoldenSet, only: CaseProxy['only']): readonly (readonly [string, string])[] {
  return Object.entries(set)
    .filter(([type, resources]) => resources.length > 0 && (only?.some((one) => one === type) ?? true))
    .map(([type, resources]) => [
      `${proxy}.${type}.yaml`,
      stringify(resources, { sortMapEntries: true, lineWidth: 0 }),
    ]);
}

function rewrite(folder: string, files: ReadonlyMap<string, string>): void {
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of files) {
    const path = join(folder, file);
    if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text);
  }
  for (const file of readdirSync(folder)) if (!files.has(file)) rmSync(join(folder, file));
}
