// The Kubernetes source behind a proxy that cuts, delays, expires and refuses: in the end it has what the API server has.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unfollowedKinds } from '../../cmd/kube/followed-kinds.ts';
import type { KindName } from '../../config/kinds/kinds.ts';
import { startKubeSource } from '../../config/sources/kube.ts';
import { type KubeApi, openKubeApi } from '../../config/sources/kube-api.ts';
import { kubeconfigAccess } from '../../config/sources/kube-config.ts';
import type { Source } from '../../config/sources/source.ts';
import { Store } from '../../config/store.ts';
import { validate } from '../../config/validate.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import { type KubeChaos, startKubeChaos } from '../support/kube-chaos.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { installDefinitions, leastPrivilege } from '../support/kubernetes-plane.ts';
import { randomOf } from '../support/random.ts';
import { sleep, waitFor } from '../support/wait.ts';

const rounds = 4;
const editsPerRound = 2_500;
const objects = 200;
const collectGarbage = (() => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
})();

let server: TestApiServer;
let chaos: KubeChaos;
let api: KubeApi;
let source: Source;
const store = new Store();
const random = randomOf(5);
/** The namespaces that the store had when it was told to be in sync. */
let atSync: readonly string[] = [];

beforeAll(async () => {
  server = await startApiServer();
  await installDefinitions(server);
  chaos = await startKubeChaos(server, randomOf(7));
  api = openKubeApi(await kubeconfigAccess(await leastPrivilege(server, chaos.url)));
  store.onStatus(() => {
    if (store.synced && atSync.length === 0) atSync = store.list('Namespace').map(({ metadata }) => metadata.name);
  });
  const rest = (ms: number) => sleep(Math.min(ms, 200));
  source = startKubeSource(
    { api, check: validate, without: unfollowedKinds, sleep: rest, random: Math.random, now: Date.now },
    store.sinkOf('kubernetes'),
  );
}, 300_000);
afterAll(async () => {
  await source?.[Symbol.asyncDispose]();
  api?.[Symbol.dispose]();
  await chaos?.[Symbol.asyncDispose]();
  await server?.stop();
});

const kindsEdited = ['ConfigMap', 'VirtualService', 'EndpointSlice'] as const satisfies readonly KindName[];
type Edited = (typeof kindsEdited)[number];

function objectOf(kind: Edited, i: number, value: number): KubeObject {
  const metadata = { name: `edited-${i}`, namespace: 'default', labels: { value: String(value) } };
  switch (kind) {
    case 'ConfigMap':
      return { apiVersion: 'v1', kind, metadata, data: { value: String(value) } };
    case 'VirtualService':
      return {
        apiVersion: 'networking.istio.io/v1',
        kind,
        metadata,
        spec: { hosts: [`h${value}.example.com`], http: [{ route: [{ destination: { host: 'a' } }] }] },
      };
    case 'EndpointSlice':
      return {
        apiVersion: 'discovery.k8s.io/v1',
        kind,
        metadata,
        addressType: 'IPv4',
        endpoints: [{ addresses: [`10.0.${value % 256}.${i % 256}`] }],
        ports: [{ name: 'http', port: 80 }],
      };
  }
}

const collections: Readonly<Record<Edited, string>> = {
  ConfigMap: '/api/v1/configmaps',
  VirtualService: '/apis/networking.istio.io/v1/virtualservices',
  EndpointSlice: '/apis/discovery.k8s.io/v1/endpointslices',
};

/** What tells one state of the object from another. */
const edited = (kind: Edited): readonly string[] =>
  store
    .list(kind)
    .filter(({ metadata }) => metadata.name.startsWith('edited-'))
    .map(({ metadata }) => `${metadata.name} ${metadata.labels?.['value']}`)
    .sort();
async function stored(kind: Edited): Promise<readonly string[]> {
  const items = await server.client.list(collections[kind]);
  return items
    .filter(({ metadata }) => metadata.name.startsWith('edited-'))
    .map(({ metadata }) => `${metadata.name} ${(metadata['labels'] as Record<string, string>)['value']}`)
    .sort();
}

/** Writes by several clients at once; of ten edits one deletes. */
async function edit(count: number): Promise<void> {
  let left = count;
  const editor = async (own: number): Promise<void> => {
    while (left-- > 0) {
      const kind = kindsEdited[Math.floor(random() * kindsEdited.length)] as Edited;
      // Each editor has objects of its own, so that no edit conflicts with another.
      const i = own + 8 * Math.floor((random() * objects) / 8);
      const object = objectOf(kind, i, left);
      const path = await server.client.pathOf(object);
      if (random() < 0.1) await server.client.request('DELETE', path);
      else if ((await server.client.request('PATCH', path, object, 'application/merge-patch+json')).status === 404)
        await server.client.request('POST', path.slice(0, path.lastIndexOf('/')), object);
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, own) => editor(own)));
}

test('in sync means that everything was read', async () => {
  await waitFor('the first state', () => store.synced, { timeoutMs: 30_000 });
  expect(atSync.length).toBeGreaterThan(2);
  expect(atSync).toEqual((await server.client.list('/api/v1/namespaces')).map(({ metadata }) => metadata.name).sort());
});

test('10,000 edits under cuts, delays, 410s and refusals end in the API server’s state, in constant memory', async () => {
  const heaps: number[] = [];
  for (let round = 0; round < rounds; round++) {
    chaos.behave({ cut: 0.02, expire: 0.005, refuseVersion: 0.1, fail: 0.2, delayMs: 3 });
    const cutter = setInterval(() => chaos.cutAll(), 1_500);
    await edit(editsPerRound);
    clearInterval(cutter);
    chaos.behave({});
    chaos.cutAll();
    for (const kind of kindsEdited) {
      const wanted = await stored(kind);
      const detail = () => JSON.stringify([...store.sources()]);
      await waitFor(`${kind} to be as stored`, () => equal(edited(kind), wanted), { timeoutMs: 20_000, detail });
    }
    collectGarbage();
    heaps.push(process.memoryUsage().heapUsed);
  }
  expect(chaos.counts.cuts).toBeGreaterThan(20);
  expect(chaos.counts.expired).toBeGreaterThan(5);
  expect(chaos.counts.refused).toBeGreaterThan(5);
  await waitFor('all watches', () => [...store.sources().values()].every(({ connected }) => connected));
  expect(store.findings()).toEqual([]);
  const [, second = 0] = heaps;
  expect((heaps.at(-1) ?? 0) - second).toBeLessThan(8 * 1024 * 1024);
}, 150_000);

test('what a server that finds nothing says is no deletion: all objects stay, and it is out of touch', async () => {
  await waitFor('the first state', () => store.synced, { timeoutMs: 30_000 });
  await server.client.apply(objectOf('VirtualService', 998, 1));
  await waitFor('the object', () => store.get('VirtualService', 'default/edited-998'));
  const countsOf = () => (['Service', 'Namespace', 'VirtualService'] as const).map((kind) => store.count(kind));
  const before = countsOf();
  const gone: string[] = [];
  const stop = store.subscribe((changes) => {
    gone.push(...changes.filter(({ object }) => object === undefined).map(({ kind, key }) => `${kind} ${key}`));
  });
  chaos.behave({ lose: 1 });
  chaos.cutAll();
  const messageOf = (kind: KindName) => store.sources().get('kubernetes')?.parts?.[kind]?.message ?? '';
  for (const kind of ['Service', 'EndpointSlice'] as const)
    await waitFor(kind, () => messageOf(kind) === '404 no such page');
  // After as many answers as are believed of a server that answers otherwise.
  await waitFor('a doubt', () => messageOf('VirtualService').includes('/version'), { timeoutMs: 30_000 });
  chaos.behave({});
  await waitFor('all watches', () => [...store.sources().values()].every(({ connected }) => connected));
  stop();
  expect(gone).toEqual([]);
  expect(countsOf()).toEqual(before);
}, 60_000);

test('the kinds of an API server that forgets a definition go when that stays so, and come back', async () => {
  await server.client.apply(objectOf('VirtualService', 999, 1));
  await waitFor('the object', () => store.get('VirtualService', 'default/edited-999'));
  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'virtualservices.networking.istio.io' },
  };
  await server.client.delete(definition);
  await waitFor('its objects to go', () => store.list('VirtualService').length === 0, { timeoutMs: 20_000 });
  const path = await server.client.pathOf(definition);
  const isGone = async () => (await server.client.request('GET', path)).status === 404;
  await waitFor('the definition to go', isGone, { timeoutMs: 20_000 });
  await installDefinitions(server);
  const again = () => server.client.apply(objectOf('VirtualService', 5, 1));
  await waitFor('the kind', again, { timeoutMs: 20_000 });
  await waitFor('the object', () => store.get('VirtualService', 'default/edited-5'), { timeoutMs: 20_000 });
}, 60_000);

function equal(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}
