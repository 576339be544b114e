// The incremental variant, rule by rule, over streams without sockets (contract 1.10).
import { afterEach, describe, expect, test } from 'vitest';
import { sidecarNode } from '../../test/support/xds/client.ts';
import { type Loopback, loopback } from '../../test/support/xds/loopback.ts';
import { typeUrls } from '../xds-types.ts';

const { cluster, endpoint, listener, route, secret } = typeUrls;
const node = sidecarNode();

describe('delta', () => {
  const open: Loopback[] = [];
  const start = (): Loopback => {
    // So long that a slow machine does not let it pass.
    const mesh = loopback({ limits: { settleMs: 10_000 } });
    open.push(mesh);
    return mesh;
  };
  afterEach(() => {
    for (const mesh of open.splice(0)) mesh.publisher.stop();
  });

  test('a first request without names subscribes to everything, and is answered even when there is nothing', async () => {
    const mesh = start();
    const client = mesh.open('delta');
    await client.delta({ node, typeUrl: cluster });
    expect(client.take()).toMatchObject([{ typeUrl: cluster, removed: [] }]);
    await mesh.set({ cluster: { a: 'a=1', b: 'b=1' } });
    const [push] = client.take();
    expect([...(push?.resources ?? [])]).toEqual([
      ['a', 'a=1'],
      ['b', 'b=1'],
    ]);
  });

  test('only what changed is sent, and what went away is named', async () => {
    const mesh = start();
    await mesh.set({ cluster: { a: 'a=1', b: 'b=1' } });
    const client = mesh.open('delta');
    await client.delta({ node, typeUrl: cluster });
    await client.delta({ node, typeUrl: listener });
    await client.delta({ typeUrl: listener, responseNonce: client.take()[1]?.nonce ?? '' });
    await mesh.set({ cluster: { b: 'b=2', c: 'c=1' } });
    const pushes = client.take();
    expect(pushes.map(({ resources, removed }) => [[...resources.keys()], removed])).toEqual([
      [['b', 'c'], []],
      [[], ['a']],
    ]);
  });

  test('initial versions: equal ones are skipped, others sent, absent ones removed; for every type', async () => {
    const mesh = start();
    await mesh.set({ cluster: { a: 'a=1', b: 'b=1' }, endpoint: { x: 'x=1', y: 'y=1' }, listener: { l: 'l=1' } });
    const first = mesh.open('delta');
    await first.delta({ node, typeUrl: cluster });
    await first.delta({ typeUrl: endpoint, resourceNamesSubscribe: ['x', 'y'] });
    const [clusters, endpoints] = first.take();
    const again = mesh.open('delta');
    await again.delta({
      node,
      typeUrl: cluster,
      initialResourceVersions: { a: clusters?.versions.get('a') ?? '', b: 'other', gone: 'v' },
    });
    await again.delta({
      typeUrl: endpoint,
      resourceNamesSubscribe: ['x', 'y'],
      initialResourceVersions: Object.fromEntries(endpoints?.versions ?? []),
    });
    await again.delta({ typeUrl: listener });
    const got = again.take();
    expect(got.map(({ typeUrl, resources, removed }) => [typeUrl, [...resources.keys()], removed])).toEqual([
      [cluster, ['b'], []],
      [endpoint, [], []],
      [listener, ['l'], []],
    ]);
    // The cluster that went away may still be referred to until the new routes have arrived.
    await again.delta({ typeUrl: listener, responseNonce: got[2]?.nonce ?? '' });
    expect(again.take()).toMatchObject([{ typeUrl: cluster, removed: ['gone'] }]);
  });

  test('endpoints of a cluster that is sent again are sent again, whatever version the client has', async () => {
    const mesh = start();
    await mesh.set({ cluster: { a: 'a=1', b: 'b=1' }, endpoint: { a: 'ea=1', b: 'eb=1' } });
    const client = mesh.open('delta');
    await client.delta({ node, typeUrl: cluster });
    await client.delta({ typeUrl: endpoint, resourceNamesSubscribe: ['a', 'b'] });
    const versions = Object.fromEntries(client.take()[1]?.versions ?? []);
    await mesh.set({ cluster: { a: 'a=2', b: 'b=1' }, endpoint: { a: 'ea=1', b: 'eb=1' } });
    expect(client.take().map(({ typeUrl, resources }) => [typeUrl, [...resources.keys()]])).toEqual([
      [cluster, ['a']],
      [endpoint, ['a']],
    ]);
    const again = mesh.open('delta');
    await again.delta({ node, typeUrl: cluster, initialResourceVersions: { a: 'old', b: 'old' } });
    await again.delta({ typeUrl: endpoint, resourceNamesSubscribe: ['a', 'b'], initialResourceVersions: versions });
    expect([...(again.take()[1]?.resources.keys() ?? [])]).toEqual(['a', 'b']);
  });

  test('an unknown name is answered as removed, and sent when it appears', async () => {
    const mesh = start();
    const client = mesh.open('delta');
    await client.delta({ node, typeUrl: route, resourceNamesSubscribe: ['80'] });
    expect(client.take()).toMatchObject([{ typeUrl: route, removed: ['80'] }]);
    await mesh.set({ route: { 80: '80=1' } });
    expect([...(client.take()[0]?.resources ?? [])]).toEqual([['80', '80=1']]);
    await mesh.set({});
    expect(client.take()).toMatchObject([{ typeUrl: route, removed: ['80'] }]);
  });

  test('subscribing again to a name sends it again; unsubscribing sends nothing and ends its updates', async () => {
    const mesh = start();
    await mesh.set({ endpoint: { x: 'x=1', y: 'y=1' } });
    const client = mesh.open('delta');
    await client.delta({ node, typeUrl: endpoint, resourceNamesSubscribe: ['x', 'y'] });
    client.take();
    await client.delta({ typeUrl: endpoint, resourceNamesSubscribe: ['x'] });
    expect([...(client.take()[0]?.resources.keys() ?? [])]).toEqual(['x']);
    await client.delta({ typeUrl: endpoint, resourceNamesUnsubscribe: ['x'] });
    await mesh.set({ endpoint: { x: 'x=2', y: 'y=2' } });
    expect(client.take().map(({ resources }) => [...resources.keys()])).toEqual([['y']]);
  });

  test('removed endpoints are not reported: they go with their cluster', async () => {
    const mesh = start();
    await mesh.set({ endpoint: { x: 'x=1' } });
    const client = mesh.open('delta');
    await client.delta({ node, typeUrl: endpoint, resourceNamesSubscribe: ['x'] });
    client.take();
    await mesh.set({});
    expect(client.take()).toEqual([]);
  });

  test('subscribing and unsubscribing * together is a subscription to nothing', async () => {
    const mesh = start();
    await mesh.set({ cluster: { a: 'a=1' } });
    const client = mesh.open('delta');
    await client.delta({
      node,
      typeUrl: cluster,
      resourceNamesSubscribe: ['*'],
      resourceNamesUnsubscribe: ['*'],
    });
    expect(client.take()).toMatchObject([{ removed: [] }]);
    expect(client.received[0]?.resources.size).toBe(0);
    await client.delta({ typeUrl: cluster, resourceNamesSubscribe: ['a'] });
    expect([...(client.take()[0]?.resources.keys() ?? [])]).toEqual(['a']);
  });

  test('an acknowledgement is recorded and not answered; a stale one is ignored but its subscription counts', async () => {
    const mesh = start();
    await mesh.set({ endpoint: { x: 'x=1', y: 'y=1' } });
    const client = mesh.open('delta');
    await client.delta({ node, typeUrl: endpoint, resourceNamesSubscribe: ['x'] });
    const [answer] = client.take();
    await client.delta({ typeUrl: endpoint, responseNonce: answer?.nonce ?? '' });
    const books = client.stream.channels.get('endpoint')?.sub;
    expect(books?.acked?.nonce).toBe(answer?.nonce);
    expect(client.take()).toEqual([]);
    await client.delta({ typeUrl: endpoint, responseNonce: 'stale', resourceNamesSubscribe: ['y'] });
    expect([...(client.take()[0]?.resources.keys() ?? [])]).toEqual(['y']);
    expect(books?.acked?.nonce).toBe(answer?.nonce);
  });

  test('a rejected resource is traced, and not sent again before it changes', async () => {
    const mesh = start();
    await mesh.set({ cluster: { good: 'good=1', bad: 'bad=1' } });
    const client = mesh.open('delta');
    await client.delta({ node, typeUrl: cluster });
    const [answer] = client.take();
    const message = 'Error adding/updating cluster(s) bad: no such thing';
    await client.delta({ typeUrl: cluster, responseNonce: answer?.nonce ?? '', errorDetail: { code: 13, message } });
    const books = client.stream.channels.get('cluster')?.sub;
    expect(books?.rejection).toMatchObject({ message, resources: [{ name: 'bad' }] });
    expect(books?.rejection?.resources[0]?.sources).toContain('fake.body cluster|bad');
    await mesh.set({ cluster: { good: 'good=2', bad: 'bad=1' } });
    const [good] = client.take();
    expect([...(good?.resources.keys() ?? [])]).toEqual(['good']);
    // Accepting something else does not mend what was rejected.
    await client.delta({ typeUrl: cluster, responseNonce: good?.nonce ?? '' });
    expect(books?.rejection).toMatchObject({ message, resources: [{ name: 'bad' }] });
    await mesh.set({ cluster: { good: 'good=2', bad: 'bad=2' } });
    const [mended] = client.take();
    expect([...(mended?.resources.keys() ?? [])]).toEqual(['bad']);
    await client.delta({ typeUrl: cluster, responseNonce: mended?.nonce ?? '' });
    expect(books?.rejection).toBeUndefined();
  });

  test('make before break: clusters, endpoints, listeners, routes; then the removal of clusters', async () => {
    const mesh = start();
    await mesh.set({ cluster: { old: 'old=1' }, listener: { l: 'l=1' }, route: { r: 'to old' } });
    const client = mesh.open('delta');
    await client.delta({ node, typeUrl: cluster });
    await client.delta({ typeUrl: listener });
    await client.delta({ typeUrl: route, resourceNamesSubscribe: ['r'] });
    for (const { typeUrl, nonce } of client.take()) await client.delta({ typeUrl, responseNonce: nonce });
    const published = mesh.set({
      cluster: { fresh: 'fresh=1' },
      endpoint: { fresh: 'efresh=1' },
      listener: { l: 'l=2' },
      route: { r: 'to fresh' },
    });
    await published;
    const log: string[] = [];
    const step = async (): Promise<void> => {
      for (const { typeUrl, nonce, resources, removed } of client.take()) {
        log.push(`${typeUrl.split('.').pop()} +${[...resources.keys()]} -${removed}`);
        await client.delta({ typeUrl, responseNonce: nonce });
        if (typeUrl === cluster && resources.has('fresh')) {
          await client.delta({ typeUrl: endpoint, resourceNamesSubscribe: ['fresh'] });
        }
      }
    };
    for (let i = 0; i < 8; i++) await step();
    expect(log).toEqual([
      'Cluster +fresh -',
      'ClusterLoadAssignment +fresh -',
      'Listener +l -',
      'RouteConfiguration +r -',
      'Cluster + -old',
    ]);
  });

  test('secrets are not given to anonymous callers, and only of their own namespace to others', async () => {
    const mesh = start();
    await mesh.set({ secret: { 'kubernetes://tls': 'mine', 'kubernetes://other/tls': 'theirs' } });
    const names = ['kubernetes://tls', 'kubernetes://other/tls'];
    const anonymous = mesh.open('delta');
    await anonymous.delta({ node, typeUrl: secret, resourceNamesSubscribe: names });
    expect(anonymous.take()).toMatchObject([{ removed: ['kubernetes://other/tls', 'kubernetes://tls'] }]);
    const identities = [{ trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'app' }];
    const known = mesh.open('delta', { kind: 'identified', identities });
    await known.delta({ node, typeUrl: secret, resourceNamesSubscribe: names });
    const [answer] = known.take();
    expect([...(answer?.resources.keys() ?? [])]).toEqual(['kubernetes://tls']);
    expect(answer?.removed).toEqual(['kubernetes://other/tls']);
  });
});
