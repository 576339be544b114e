// A tiny mesh for tests of the xDS server: a graph whose resources a test sets by type and name, as texts or messages.
import { Graph, input, query, type Read } from '../../../discovery/graph/graph.ts';
import { proxies } from '../../../discovery/proxy/classify.ts';
import type { ProxyClass } from '../../../discovery/proxy/proxy-class.ts';
import { encodeResource } from '../../../discovery/resource.ts';
import {
  type Directory,
  defineTranslator,
  type ErasedTranslator,
  type FlavourTable,
  type ResourceRef,
  resourceQuery,
  type TranslatorTable,
} from '../../../discovery/translate/translator.ts';
import { type ResourceType, typeUrls } from '../../../discovery/xds-types.ts';

const names = input<readonly string[]>('fake.names');
const bodies = input<string | Uint8Array>('fake.body');
const groups = input<string>('fake.group');

const resource = resourceQuery<string>(
  'fake.resource',
  (key) => key,
  (read, key) => {
    const [type = '', name = ''] = key.split('|', 2);
    const body = read(bodies, key);
    if (body === 'throw') throw new Error(`the test made ${key} throw`);
    if (body === undefined) return undefined;
    return encodeResource(typeUrls[type as ResourceType], name, typeof body === 'string' ? Buffer.from(body) : body);
  },
);

const refOf = (type: ResourceType, name: string): ResourceRef =>
  ({ query: resource, key: `${type}|${name}` }) as unknown as ResourceRef;

function fakeTranslator(type: ResourceType, listed: boolean): ErasedTranslator {
  return defineTranslator(`fake.${type}`, {
    type,
    facets: ['namespace'],
    list: (read: Read, { namespace }): Directory => {
      if (!listed) return new Map();
      return new Map((read(names, `${namespace}/${type}`) ?? []).map((name) => [name, refOf(type, name)]));
    },
    find: (read, _client, name) => (read(bodies, `${type}|${name}`) === undefined ? undefined : refOf(type, name)),
  });
}

/** Class by node id: everything fixed except the namespace, which a test may change by `regroup`. */
export const fakeClassOf = query<string, ProxyClass | undefined>(
  'fake.class',
  (read, nodeId) => {
    const proxy = read(proxies, nodeId);
    if (proxy === undefined) return undefined;
    return {
      flavour: proxy.flavour,
      capabilities: proxy.capabilities,
      namespace: read(groups, nodeId) ?? proxy.namespace,
      dnsDomain: '',
      labels: {},
      cluster: '',
      network: '',
      locality: { region: '', zone: '', subzone: '' },
      nodeName: '',
      interception: 'REDIRECT',
      ipFamily: 'v4',
      scope: '',
      targets: [],
      settings: {},
      addresses: [],
    };
  },
  { output: true },
);

/** All types by fakes: clusters, listeners and name tables listed, the others by name. */
export function fakeTranslators(): TranslatorTable {
  const table: FlavourTable = {
    cluster: fakeTranslator('cluster', true),
    endpoint: fakeTranslator('endpoint', false),
    listener: fakeTranslator('listener', true),
    route: fakeTranslator('route', false),
    secret: fakeTranslator('secret', false),
    nameTable: fakeTranslator('nameTable', true),
  };
  return { sidecar: table, gateway: table, grpc: table };
}

/** Resources of the fake mesh by type and name: a text, or a serialised message. */
export type FakeResources = Partial<Record<ResourceType, Readonly<Record<string, string | Uint8Array>>>>;

/** Makes the graph hold exactly these resources, as seen from `namespace`. */
export function writeFake(graph: Graph, namespace: string, before: FakeResources, after: FakeResources): void {
  for (const type of Object.keys(typeUrls) as ResourceType[]) {
    const old = before[type] ?? {};
    const next = after[type] ?? {};
    for (const name of Object.keys(old)) {
      if (next[name] === undefined) graph.write(bodies, `${type}|${name}`, undefined);
    }
    for (const [name, text] of Object.entries(next)) graph.write(bodies, `${type}|${name}`, text);
    const list = Object.keys(next).sort();
    graph.write(names, `${namespace}/${type}`, list.length === 0 ? undefined : list);
  }
}

/** What a namespace lists of a type, whatever resources there are. */
export function listFake(graph: Graph, namespace: string, type: ResourceType, list: readonly string[]): void {
  graph.write(names, `${namespace}/${type}`, list);
}

/** Moves a proxy to another class. */
export function regroup(graph: Graph, nodeId: string, namespace: string): void {
  graph.write(groups, nodeId, namespace);
}

/** A graph for the fakes. */
export function fakeGraph(): Graph {
  return new Graph([]);
}
