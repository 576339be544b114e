// The state-of-the-world variant, rule by rule, over streams without sockets (contract 1.9).
import { afterEach, describe, expect, test } from 'vitest';
import { sidecarNode } from '../../test/support/xds/client.ts';
import { type Loopback, loopback } from '../../test/support/xds/loopback.ts';
import { typeUrls } from '../xds-types.ts';

const { cluster, endpoint, listener, route } = typeUrls;
const node = sidecarNode();
const grpcNode = { ...node, metadata: { ...node.metadata, GENERATOR: 'grpc' } };

describe('state of the world', () => {
  const open: Loopback[] = [];
  const start = (): Loopback => {
    const mesh = loopback();
    open.push(mesh);
    return mesh;
  };
  afterEach(() => {
    for (const mesh of open.splice(0)) mesh.publisher.stop();
  });
  const names = (received: readonly { readonly resources: ReadonlyMap<string, string> }[]): string[][] =>
    received.map(({ resources }) => [...resources.keys()]);

  test('clusters are always complete, and an empty answer is an answer', async () => {
    const mesh = start();
    const client = mesh.open('sotw');
    await client.sotw({ node, typeUrl: cluster });
    expect(names(client.take())).toEqual([[]]);
    await mesh.set({ cluster: { a: 'a=1', b: 'b=1' } });
    await mesh.set({ cluster: { a: 'a=2', b: 'b=1' } });
    expect(names(client.take())).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
  });

  test('equal content has equal version_info, other content another', async () => {
    const mesh = start();
    await mesh.set({ cluster: { a: 'a=1' } });
    const one = mesh.open('sotw');
    const two = mesh.open('sotw');
    await one.sotw({ node, typeUrl: cluster });
    await two.sotw({ node: sidecarNode('other'), typeUrl: cluster });
    const [a] = one.take();
    const [b] = two.take();
    expect(a?.version).toBe(b?.version);
    await mesh.set({ cluster: { a: 'a=2' } });
    expect(one.take()[0]?.version).not.toBe(a?.version);
  });

  test('everything is not sent again to a client that has exactly that from another stream', async () => {
    const mesh = start();
    await mesh.set({ cluster: { a: 'a=1', b: 'b=1' } });
    const first = mesh.open('sotw');
    await first.sotw({ node, typeUrl: cluster });
    const [had] = first.take();
    const versionInfo = had?.version ?? '';
    const second = mesh.open('sotw');
    await second.sotw({ node, typeUrl: cluster, versionInfo });
    expect(second.take()).toEqual([]);
    expect(second.stream.channels.get('cluster')?.sub.acked?.version).toBe(versionInfo);
    await mesh.set({ cluster: { a: 'a=2', b: 'b=1' } });
    const [changed] = second.take();
    expect([...(changed?.resources.keys() ?? [])]).toEqual(['a', 'b']);
    // What changes back differs from what it has now.
    await second.sotw({ typeUrl: cluster, versionInfo: changed?.version ?? '', responseNonce: changed?.nonce ?? '' });
    await mesh.set({ cluster: { a: 'a=1', b: 'b=1' } });
    expect(names(second.take())).toEqual([['a', 'b']]);
  });

  test.each([
    ['has another version', { versionInfo: 'other' }],
    ['tells none', {}],
    ['answers a response of another stream', { responseNonce: 'other' }],
    ['asks for a name besides', { resourceNames: ['*', 'c'] }],
  ])('everything is sent to a client that comes back and %s', async (_, more) => {
    const mesh = start();
    await mesh.set({ cluster: { a: 'a=1', b: 'b=1' } });
    const first = mesh.open('sotw');
    await first.sotw({ node, typeUrl: cluster });
    const versionInfo = 'responseNonce' in more || 'resourceNames' in more ? first.take()[0]?.version : '';
    const second = mesh.open('sotw');
    await second.sotw({ node, typeUrl: cluster, versionInfo: versionInfo ?? '', ...more });
    expect(names(second.take())).toEqual([['a', 'b']]);
  });

  test('names are sent again whatever version the client has: it may have dropped them meanwhile', async () => {
    const mesh = start();
    await mesh.set({ route: { '80': '80=1' } });
    const versions: string[] = [];
    for (let i = 0; i < 2; i++) {
      const client = mesh.open('sotw');
      await client.sotw({ node, typeUrl: route, resourceNames: ['80'], versionInfo: versions.at(-1) ?? '' });
      versions.push(...client.take().map(({ version }) => version));
    }
    expect(versions.length).toBe(2);
    expect(versions[0]).toBe(versions[1]);
  });

  test('a named type without names is no subscription and gets no answer', async () => {
    const mesh = start();
    await mesh.set({ endpoint: { x: 'x=1' } });
    const client = mesh.open('sotw');
    await client.sotw({ node, typeUrl: endpoint });
    expect(client.take()).toEqual([]);
    await client.sotw({ typeUrl: endpoint, resourceNames: ['x'] });
    const [answer] = client.take();
    expect(names([answer as never])).toEqual([['x']]);
    await client.sotw({ typeUrl: endpoint, responseNonce: answer?.nonce ?? '', resourceNames: [] });
    await mesh.set({ endpoint: { x: 'x=2' } });
    expect(client.take()).toEqual([]);
  });

  test('an acknowledgement is not answered; added names are, and only they', async () => {
    const mesh = start();
    await mesh.set({ endpoint: { x: 'x=1', y: 'y=1' } });
    const client = mesh.open('sotw');
    await client.sotw({ node, typeUrl: endpoint, resourceNames: ['x'] });
    const nonce = client.take()[0]?.nonce ?? '';
    await client.sotw({ typeUrl: endpoint, responseNonce: nonce, resourceNames: ['x'] });
    expect(client.take()).toEqual([]);
    await client.sotw({ typeUrl: endpoint, responseNonce: nonce, resourceNames: ['x', 'y'] });
    expect(names(client.take())).toEqual([['y']]);
  });

  test('gRPC clients get every subscribed name in each response', async () => {
    const mesh = start();
    await mesh.set({ endpoint: { x: 'x=1', y: 'y=1' } });
    const client = mesh.open('sotw');
    await client.sotw({ node: grpcNode, typeUrl: endpoint, resourceNames: ['x'] });
    const nonce = client.take()[0]?.nonce ?? '';
    await client.sotw({ typeUrl: endpoint, responseNonce: nonce, resourceNames: ['x', 'y'] });
    await mesh.set({ endpoint: { x: 'x=1', y: 'y=2' } });
    expect(names(client.take())).toEqual([
      ['x', 'y'],
      ['x', 'y'],
    ]);
  });

  test('named clusters and listeners are complete for their names', async () => {
    const mesh = start();
    await mesh.set({ cluster: { a: 'a=1', b: 'b=1', c: 'c=1' } });
    const client = mesh.open('sotw');
    await client.sotw({ node: grpcNode, typeUrl: cluster, resourceNames: ['b', 'a'] });
    expect(names(client.take())).toEqual([['a', 'b']]);
    await mesh.set({ cluster: { a: 'a=2', b: 'b=1', c: 'c=2' } });
    expect(names(client.take())).toEqual([['a', 'b']]);
    await mesh.set({ cluster: { a: 'a=2', b: 'b=1', c: 'c=3' } });
    expect(client.take()).toEqual([]);
  });

  test('a stale nonce is ignored, a rejection is recorded and not answered, an empty nonce starts over', async () => {
    const mesh = start();
    await mesh.set({ endpoint: { x: 'x=1', y: 'y=1' } });
    const client = mesh.open('sotw');
    await client.sotw({ node, typeUrl: endpoint, resourceNames: ['x'] });
    const nonce = client.take()[0]?.nonce ?? '';
    await client.sotw({ typeUrl: endpoint, responseNonce: 'other', resourceNames: ['x', 'y'] });
    expect(client.take()).toEqual([]);
    const errorDetail = { code: 13, message: 'bad x' };
    await client.sotw({ typeUrl: endpoint, responseNonce: nonce, resourceNames: ['x'], errorDetail });
    expect(client.take()).toEqual([]);
    const books = client.stream.channels.get('endpoint')?.sub;
    expect(books?.rejection).toMatchObject({ message: 'bad x', resources: [{ name: 'x' }] });
    await client.sotw({ typeUrl: endpoint, resourceNames: ['x', 'y'] });
    expect(names(client.take())).toEqual([['x', 'y']]);
  });

  test('removed clusters stay in the response until listeners and routes were sent', async () => {
    const mesh = start();
    await mesh.set({ cluster: { old: 'old=1' }, listener: { l: 'l=1' }, route: { r: 'r=1' } });
    const client = mesh.open('sotw');
    await client.sotw({ node, typeUrl: cluster });
    await client.sotw({ typeUrl: listener });
    await client.sotw({ typeUrl: route, resourceNames: ['r'] });
    const acknowledge = async (): Promise<void> => {
      for (const { typeUrl, nonce } of client.take()) {
        const resourceNames = typeUrl === route ? ['r'] : [];
        await client.sotw({ typeUrl, responseNonce: nonce, resourceNames });
      }
    };
    await acknowledge();
    const before = client.received.length;
    await mesh.set({ cluster: { fresh: 'fresh=1' }, listener: { l: 'l=1' }, route: { r: 'r=2' } });
    for (let i = 0; i < 4; i++) {
      await acknowledge();
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    const log = client.received
      .slice(before)
      .map(({ typeUrl, resources }) => `${typeUrl.split('.').pop()} ${[...resources.keys()]}`);
    expect(log).toEqual(['Cluster fresh,old', 'RouteConfiguration r', 'Cluster fresh']);
  });
});
