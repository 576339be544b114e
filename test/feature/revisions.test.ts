// Two control planes of different revisions on one real API server, each with exactly its rights: whose objects are whose.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { typeUrls } from '../../discovery/xds-types.ts';
import { startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { installDefinitions, leastPrivilege } from '../support/kubernetes-plane.ts';
import { waitFor } from '../support/wait.ts';
import { sidecarNode } from '../support/xds/client.ts';
import { connect } from '../support/xds/grpc-client.ts';

let server: TestApiServer;
let stable: TestDiscovery;
let canary: TestDiscovery;

beforeAll(async () => {
  server = await startApiServer();
  await installDefinitions(server);
  const start = async (revision: string) =>
    startDiscovery({
      kubeconfig: await leastPrivilege(server, server.url, revision),
      environment: { REVISION: revision, POD_NAME: `istiod-${revision}` },
    });
  stable = await start('stable');
  canary = await start('canary');
}, 300_000);
afterAll(async () => {
  await canary?.[Symbol.asyncDispose]();
  await stable?.[Symbol.asyncDispose]();
  await server?.stop();
});

const entry = (name: string, revision?: string): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'ServiceEntry',
  metadata: {
    name,
    namespace: 'default',
    ...(revision === undefined ? {} : { labels: { 'istio.io/rev': revision } }),
  },
  spec: {
    hosts: [`${name}.example.com`],
    ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
    resolution: 'DNS',
  },
});
const route = (subset: string): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'route', namespace: 'default' },
  spec: {
    hosts: ['x.example.com'],
    http: [{ route: [{ destination: { host: 'everybody.example.com', subset } }] }],
  },
});
const label = (object: KubeObject, revision: string) =>
  server.client.merge(object, { metadata: { labels: { 'istio.io/rev': revision } } });

const namesOf = async (plane: TestDiscovery): Promise<readonly string[]> => {
  const all = JSON.parse(await plane.get('/debug/configz')) as readonly KubeObject[];
  return all.filter(({ kind }) => kind === 'ServiceEntry').map(({ metadata }) => metadata.name);
};
const reads = (plane: TestDiscovery, ...names: readonly string[]) =>
  waitFor(`${names.join()} to be read`, async () => (await namesOf(plane)).join() === names.join());
const accepted = async (object: KubeObject): Promise<string | undefined> => {
  const status = (await server.client.get(object))['status'] as
    | { readonly conditions?: readonly { readonly type: string; readonly message: string }[] }
    | undefined;
  return status?.conditions?.find(({ type }) => type === 'Accepted')?.message;
};

test('each reads its own and what is everybody’s; a label moves an object, in what proxies get too', async () => {
  const everybody = entry('everybody');
  const one = entry('one', 'stable');
  await server.client.applyAll([everybody, one, entry('two', 'canary'), entry('three', 'other')]);
  await reads(stable, 'everybody', 'one');
  await reads(canary, 'everybody', 'two');
  const connection = connect(`127.0.0.1:${canary.ports.grpc}`);
  try {
    const stream = connection.open('delta');
    stream.delta({ node: sidecarNode(), typeUrl: typeUrls.cluster, resourceNamesSubscribe: ['*'] });
    const name = 'outbound|80||one.example.com';
    const first = await stream.next(({ typeUrl }) => typeUrl === typeUrls.cluster);
    expect(first.resources.has('outbound|80||two.example.com')).toBe(true);
    expect(first.resources.has(name)).toBe(false);
    stream.delta({ typeUrl: typeUrls.cluster, responseNonce: first.nonce });

    await label(one, 'canary');
    const added = await stream.next(({ resources }) => resources.has(name));
    expect([...added.resources.keys()]).toEqual([name]);
    stream.delta({ typeUrl: typeUrls.cluster, responseNonce: added.nonce });
    await reads(stable, 'everybody');

    await label(one, 'stable');
    const removed = await stream.next(({ removed: names }) => names.length > 0);
    expect(removed.removed).toEqual([name]);
    await reads(stable, 'everybody', 'one');
    stream.end();
  } finally {
    connection.close();
  }
});

test('ServiceEntries are told their addresses by whoever reads them', async () => {
  for (const name of ['everybody', 'one', 'two']) {
    await waitFor(`the addresses of ${name}`, async () => {
      const { addresses } = ((await server.client.get(entry(name)))['status'] ?? {}) as { addresses?: unknown[] };
      return addresses?.length === 2;
    });
  }
  expect((await server.client.get(entry('three')))['status']).toBeUndefined();
});

test('the status of an object is the word of its revision, and of none where it has no other', async () => {
  const object = route('v2');
  await server.client.apply({ ...object, metadata: { ...object.metadata, labels: { 'istio.io/rev': 'stable' } } });
  await waitFor('the finding', async () => (await accepted(object))?.includes('subset v2'));
  await label(object, 'other');
  await waitFor('it to be taken back', async () => (await accepted(object)) === undefined);
  await label(object, 'canary');
  await waitFor('the other to say it', async () => (await accepted(object))?.includes('subset v2'));
  for (const plane of [stable, canary]) expect(plane.child.output()).not.toMatch(/forbidden/i);
});
