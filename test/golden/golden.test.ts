// Goldens of translation: a folder of YAML and some proxies in, every resource of each out. UPDATE_GOLDEN=1 rewrites them.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { defaultMeshConfig } from '../../config/mesh.ts';
import { parseYaml } from '../../config/yaml.ts';
import { findResource, listResources, type ResourceJson, routeNamesOf, secretNamesOf } from '../../discovery/dump.ts';
import type { Graph } from '../../discovery/graph/graph.ts';
import { credentialClock } from '../../discovery/model/credential-clock.ts';
import { parseNode } from '../../discovery/proxy/node.ts';
import type { Proxy } from '../../discovery/proxy/proxy.ts';
import type { ProxyClass } from '../../discovery/proxy/proxy-class.ts';
import { NodeSchema } from '../../protos/gen/envoy/config/core/v3/base_pb.ts';
import { type ResourceSet, validateAll } from '../support/envoy-validate.ts';
import { connect, graphOf, jsonOf } from '../support/world.ts';

/** A proxy of a case, as its Node message describes it. */
interface CaseProxy {
  readonly name: string;
  readonly node: { readonly id: string; readonly metadata?: Readonly<Record<string, unknown>> };
}

type Raw = Parameters<typeof graphOf>[0][number];
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

describe.each(cases)('%s', (name) => {
  const proxies = parse(readFileSync(join(root, name, 'proxies.yaml'), 'utf8')) as readonly CaseProxy[];
  const sets = new Map(proxies.map((one) => [one.name, resourcesOf(name, one)]));

  test('resources are the expected ones', () => {
    const actual = new Map([...sets].flatMap(([proxy, { set }]) => filesOf(proxy, set)));
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
  const file = join(root, name, 'input.yaml');
  const { documents, diagnostics } = parseYaml(file, readFileSync(file, 'utf8'));
  if (diagnostics.length > 0) throw new Error(JSON.stringify(diagnostics));
  const graph = graphOf(
    documents.map(({ value }) => value as Raw),
    defaultMeshConfig,
  );
  graph.write(credentialClock, 'now', now);
  const parsed = parseNode(create(NodeSchema, node as Parameters<typeof create<typeof NodeSchema>>[1]));
  if (parsed.kind === 'invalid') throw new Error(parsed.problem.message);
  return { proxy: parsed.proxy, set: dumped(graph, connect(graph, parsed.proxy)) };
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

/** What Envoy can check: without keys, which dumps hide, and with the case's `files` in the place of /etc/certs. */
function checkable(name: string, { secrets: _hidden, ...set }: GoldenSet): ResourceSet {
  const files = JSON.stringify(join(root, name, 'files')).slice(1, -1);
  return JSON.parse(JSON.stringify(set).replaceAll('/etc/certs/', `${files}/`)) as ResourceSet;
}

/** One file a proxy and type, so that a change shows where it belongs; empty types have none. */
function filesOf(proxy: string, set: GoldenSet): readonly (readonly [string, string])[] {
  return Object.entries(set)
    .filter(([, resources]) => resources.length > 0)
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
