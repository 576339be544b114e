// What the one writer does and does not do: sharing, latest wins, class changes, own resources, errors, forgetting.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { settled } from '../../test/support/fake-clock.ts';
import { sidecarNode } from '../../test/support/xds/client.ts';
import { fakeGraph, fakeTranslators, regroup, writeFake } from '../../test/support/xds/fake-mesh.ts';
import { type Loopback, loopback } from '../../test/support/xds/loopback.ts';
import { collection } from '../graph/collect.ts';
import { Graph, input } from '../graph/graph.ts';
import { type EncodedResource, encodeResource } from '../resource.ts';
import type { ErasedTranslator } from '../translate/translator.ts';
import { typeUrls } from '../xds-types.ts';
import type { Identity } from './caller.ts';
import { noMetrics } from './metrics.ts';
import type { PublisherOptions } from './publisher-options.ts';

const { cluster, endpoint, secret } = typeUrls;

describe('the publisher', () => {
  const meshes: Loopback[] = [];
  const start = (options: Partial<PublisherOptions> = {}): Loopback => {
    const mesh = loopback(options);
    meshes.push(mesh);
    return mesh;
  };
  /** No slice of work is ever used up: what a test says next comes after all of it. */
  const stopped = (): number => 0;

  afterEach(() => {
    for (const mesh of meshes.splice(0)) mesh.publisher.stop();
  });

  test('an idle publisher has sent before apply returns', async () => {
    const mesh = start();
    const client = mesh.open('delta');
    await client.delta({ node: sidecarNode(), typeUrl: cluster });
    client.take();
    const told = mesh.set({ cluster: { a: 'a=1' } });
    await Promise.resolve();
    expect(client.received).toHaveLength(1);
    await told;
    expect(client.take()).toHaveLength(1);
  });

  test('changes that arrive during a publish are taken together by the next', async () => {
    const mesh = start({ now: stopped });
    const client = mesh.open('delta');
    await client.delta({ node: sidecarNode(), typeUrl: cluster });
    client.take();
    await mesh.publisher.idle();
    const before = mesh.publisher.counts.publishes;
    await Promise.all([1, 2, 3, 4, 5].map((n) => mesh.set({ cluster: { a: `a=${n}` } })));
    expect(mesh.publisher.counts.publishes - before).toBe(2);
    expect(client.take().map(({ resources }) => resources.get('a'))).toEqual(['a=1', 'a=5']);
  });

  test('streams that are owed the same share one message, whatever their number', async () => {
    const mesh = start();
    await mesh.set({ cluster: { a: 'a=1' }, endpoint: { a: 'a=e1' } });
    const clients = Array.from({ length: 50 }, () => mesh.open('delta'));
    for (const [i, client] of clients.entries()) {
      await client.delta({ node: sidecarNode(`app-${i}`), typeUrl: cluster });
      await client.delta({ typeUrl: endpoint, resourceNamesSubscribe: ['a'] });
      client.take();
    }
    const before = { ...mesh.publisher.counts };
    const computed = mesh.publisher.graph.stats().computed.get('fake.resource') ?? 0;
    await mesh.set({ cluster: { a: 'a=1' }, endpoint: { a: 'a=e2' } });
    expect(clients.every((client) => client.take().length === 1)).toBe(true);
    expect(mesh.publisher.counts.built - before.built).toBe(1);
    expect(mesh.publisher.graph.stats().computed.get('fake.resource')).toBe(computed + 1);
  });

  test('a client that does not read gets the latest when it does, and only once', async () => {
    const mesh = start({ now: stopped });
    await mesh.set({ cluster: { a: 'a=0' } });
    const slow = mesh.open('delta');
    const quick = mesh.open('delta');
    for (const client of [slow, quick]) await client.delta({ node: sidecarNode(), typeUrl: cluster });
    slow.paused = true;
    for (let n = 1; n <= 20; n++) await mesh.set({ cluster: { a: `a=${n}` } });
    slow.take();
    expect(quick.take().length).toBe(21);
    slow.resume();
    expect(slow.take().map(({ resources }) => resources.get('a'))).toEqual(['a=20']);
  });

  test('what changed back before a slow client could be told is not sent', async () => {
    const mesh = start();
    await mesh.set({ cluster: { a: 'a=0', b: 'b=0' } });
    const slow = mesh.open('delta');
    await slow.delta({ node: sidecarNode(), typeUrl: cluster });
    slow.paused = true;
    await mesh.set({ cluster: { a: 'a=0', b: 'b=1' } });
    slow.take();
    await mesh.set({ cluster: { a: 'a=1', b: 'b=1' } });
    await mesh.set({ cluster: { a: 'a=0', b: 'b=1' } });
    slow.resume();
    expect(slow.take()).toEqual([]);
  });

  test.each([3, 200])(
    'a proxy whose class changes gets the difference and nothing else, its name being %i long',
    async (length) => {
      const mesh = start();
      const other = { cluster: { shared: 'shared=1', theirs: 'theirs=1' } };
      await mesh.set({ cluster: { shared: 'shared=1', mine: 'mine=1' } });
      await mesh.publisher.apply((graph) => writeFake(graph, 'other', {}, other));
      const node = sidecarNode('a'.repeat(length));
      const client = mesh.open('delta');
      await client.delta({ node, typeUrl: cluster });
      await client.delta({ typeUrl: typeUrls.listener });
      for (const { typeUrl, nonce } of client.take()) await client.delta({ typeUrl, responseNonce: nonce });
      await mesh.publisher.apply((graph) => regroup(graph, node.id ?? '', 'other'));
      expect(client.take().map(({ resources, removed }) => [[...resources.keys()], removed])).toEqual([
        [['theirs'], []],
        [[], ['mine']],
      ]);
      await mesh.publisher.apply((graph) => regroup(graph, node.id ?? '', 'default'));
    },
  );

  test('a resource that cannot be computed keeps its last good bytes, and recovers', async () => {
    const log = vi.fn();
    const mesh = start({ log });
    await mesh.set({ cluster: { a: 'a=1', b: 'b=1' } });
    const client = mesh.open('delta');
    await client.delta({ node: sidecarNode(), typeUrl: cluster });
    client.take();
    await mesh.set({ cluster: { a: 'throw', b: 'b=2' } });
    expect(client.take().map(({ resources }) => [...resources.keys()])).toEqual([['b']]);
    expect(log).toHaveBeenCalledWith(expect.objectContaining({ level: 'error' }));
    const late = mesh.open('delta');
    await late.delta({ node: sidecarNode('late'), typeUrl: cluster });
    expect(late.take()[0]?.resources.get('a')).toBe('a=1');
    await mesh.set({ cluster: { a: 'a=3', b: 'b=2' } });
    expect(client.take().map(({ resources }) => resources.get('a'))).toEqual(['a=3']);
  });

  test('a resource that was never computed is neither sent nor reported gone', async () => {
    const mesh = start({ log: () => {} });
    await mesh.set({ cluster: { a: 'throw', b: 'b=1' } });
    const client = mesh.open('delta');
    const initialResourceVersions = { a: 'before', b: 'before', c: 'before' };
    await client.delta({ node: sidecarNode(), typeUrl: cluster, initialResourceVersions });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(client.take().map(({ resources, removed }) => [[...resources.keys()], removed])).toEqual([
      [['b'], []],
      [[], ['c']],
    ]);
    await mesh.set({ cluster: { a: 'a=1', b: 'b=1' } });
    expect(client.take().map(({ resources }) => [...resources.keys()])).toEqual([['a']]);
  });

  test('an item that cannot be derived is logged and counted, and holds up no others', async () => {
    const texts = input<string>('text');
    const derived = collection<string, string>('derived', [texts], (_read, key, text) => {
      if (text === 'throw') throw new Error('broken');
      return new Map([[key, text]]);
    });
    const log = vi.fn();
    const internalError = vi.fn();
    const graph = new Graph([derived]);
    const mesh = start({ log, graph, metrics: { ...noMetrics, internalError } });
    const set = (a: string, b: string) =>
      mesh.publisher.apply((target) => {
        target.write(texts, 'a', a);
        target.write(texts, 'b', b);
      });
    await set('a=1', 'b=1');
    await set('throw', 'b=2');
    expect([graph.read(derived, 'a'), graph.read(derived, 'b')]).toEqual(['a=1', 'b=2']);
    const fields = { what: 'derived of a', error: expect.objectContaining({ message: 'broken' }) };
    expect(log.mock.calls).toEqual([[{ level: 'error', message: 'internal error', fields }]]);
    expect(internalError).toHaveBeenCalledTimes(1);
    await set('a=3', 'b=3');
    expect([graph.read(derived, 'a'), graph.read(derived, 'b')]).toEqual(['a=3', 'b=3']);
    expect(internalError).toHaveBeenCalledTimes(1);
  });

  test('what fails in work that nobody waits for is told, and ends nothing', async () => {
    const log = vi.fn();
    const graph = fakeGraph();
    const mesh = start({ log, graph, lingerMs: 0 });
    const fail = (): never => {
      throw new Error('broken');
    };
    const told = () => log.mock.calls.map(([{ fields }]) => fields.what);
    const marks = vi.spyOn(graph, 'takeMarked').mockImplementation(fail);
    const client = mesh.open('delta');
    await client.delta({ node: sidecarNode(), typeUrl: cluster });
    await expect.poll(told).toEqual(['publishing a proxy that came']);
    client.stream.close();
    await expect.poll(told).toContain('publishing that a proxy left');
    marks.mockRestore();
    const other = mesh.open('delta');
    const detach = vi.spyOn(other.stream, 'detach').mockImplementation(fail);
    other.stream.close();
    await expect.poll(told).toContain(`closing ${other.stream.connectionId}`);
    detach.mockRestore();
    const sweep = vi.spyOn(mesh.publisher.views, 'sweep').mockImplementation(fail);
    await expect.poll(told, { timeout: 5_000 }).toContain('letting go of views');
    sweep.mockRestore();
    vi.spyOn(graph, 'unwanted', 'get').mockReturnValue(1000);
    vi.spyOn(graph, 'sweep').mockImplementation(fail);
    await mesh.set({ cluster: { a: 'a=1' } });
    await expect.poll(told).toContain('sweeping the graph');
    vi.restoreAllMocks();
    // It goes on.
    const late = mesh.open('delta');
    await late.delta({ node: sidecarNode('late'), typeUrl: cluster });
    expect(late.take().map(({ resources }) => resources.get('a'))).toEqual(['a=1']);
  });

  test('a list that cannot be computed is not answered as empty', async () => {
    const translators = fakeTranslators();
    let broken = true;
    const list = translators.sidecar.cluster;
    if (list === 'not served') throw new Error('the fake serves clusters');
    const flaky: ErasedTranslator = {
      ...list,
      directory: {
        ...list.directory,
        compute: (read, key) => {
          if (broken) throw new Error('broken');
          return list.directory.compute(read, key);
        },
      },
    };
    const mesh = start({
      log: () => {},
      translators: { ...translators, sidecar: { ...translators.sidecar, cluster: flaky } },
    });
    await mesh.set({ cluster: { a: 'a=1' } });
    const client = mesh.open('delta');
    await client.delta({ node: sidecarNode(), typeUrl: cluster, initialResourceVersions: { a: 'before' } });
    expect(client.take()).toEqual([]);
    broken = false;
    await mesh.set({ cluster: { a: 'a=2' } });
    expect(client.take().map(({ resources, removed }) => [[...resources.keys()], removed])).toEqual([[['a'], []]]);
  });

  test('own resources are given to their stream alone, follow changes, and are acknowledged', async () => {
    const changed = new Map<string, (type: 'secret', names: readonly string[]) => void>();
    const certificates = new Map<string, string>();
    const acknowledged: string[] = [];
    const of = (identity: Identity): EncodedResource | undefined => {
      const text = certificates.get(identity.serviceAccount);
      return text === undefined ? undefined : encodeResource(secret, 'default', Buffer.from(text));
    };
    const mesh = start({
      now: stopped,
      openOwnResources: ({ identity }, notify) => {
        if (identity === undefined) return undefined;
        changed.set(identity.serviceAccount, notify);
        return {
          serves: (type, name) => type === 'secret' && name === 'default',
          get: () => of(identity),
          acknowledged: (_type, { version }) => acknowledged.push(version),
          close: () => changed.delete(identity.serviceAccount),
        };
      },
    });
    certificates.set('x', 'default=x1');
    const clients = ['x', 'y'].map((serviceAccount) => {
      const identities = [{ trustDomain: 'cluster.local', namespace: 'default', serviceAccount }];
      return mesh.open('delta', { kind: 'identified', identities });
    });
    for (const client of clients) {
      await client.delta({ node: sidecarNode(), typeUrl: secret, resourceNamesSubscribe: ['default'] });
    }
    const [x, y] = clients;
    const [first] = x?.take() ?? [];
    expect(first?.resources.get('default')).toBe('default=x1');
    expect(y?.take().map(({ resources, removed }) => [resources.size, removed])).toEqual([[0, []]]);
    await x?.delta({ typeUrl: secret, responseNonce: first?.nonce ?? '' });
    expect(acknowledged).toEqual([first?.versions.get('default')]);
    certificates.set('y', 'default=y1');
    changed.get('y')?.('secret', ['default']);
    expect(y?.take().map(({ resources }) => resources.get('default'))).toEqual(['default=y1']);
    expect(x?.take()).toEqual([]);
    x?.stream.close();
    expect([...changed.keys()]).toEqual(['y']);
  });

  test('an own resource that is not there yet is not told to be gone; what the client brought along counts as accepted', async () => {
    let text: string | undefined;
    let notify: ((type: 'secret', names: readonly string[]) => void) | undefined;
    const acknowledged: string[] = [];
    const of = (is: string): EncodedResource => encodeResource(secret, 'default', Buffer.from(is));
    const mesh = start({
      now: stopped,
      openOwnResources: (_owner, changed) => {
        notify = changed;
        return {
          serves: (type, name) => type === 'secret' && name === 'default',
          get: () => (text === undefined ? undefined : of(text)),
          acknowledged: (_type, { version }) => acknowledged.push(version),
          close: () => {},
        };
      },
    });
    // Made after the client came, or there already.
    for (const [had, before, sent] of [
      ['default=old', undefined, ['default=new']],
      ['default=new', undefined, []],
      ['default=new', 'default=new', []],
    ] as const) {
      text = before;
      acknowledged.length = 0;
      const client = mesh.open('delta');
      await client.delta({
        node: sidecarNode(),
        typeUrl: secret,
        resourceNamesSubscribe: ['default'],
        initialResourceVersions: { default: of(had).version },
      });
      expect(client.take().map(({ resources, removed }) => [resources.size, removed])).toEqual([[0, []]]);
      text = 'default=new';
      if (before === undefined) notify?.('secret', ['default']);
      await settled();
      expect(client.take().map(({ resources }) => resources.get('default'))).toEqual(sent);
      expect(acknowledged).toEqual(had === 'default=new' ? [of(had).version] : []);
      client.stream.close();
    }
  });

  test('health reports are skipped, before and after the first request', async () => {
    const mesh = start();
    const client = mesh.open('delta');
    await client.delta({ typeUrl: 'type.googleapis.com/istio.v1.HealthInformation' });
    await client.delta({ node: sidecarNode(), typeUrl: cluster });
    await client.delta({ typeUrl: 'type.googleapis.com/istio.v1.HealthInformation' });
    await client.delta({ typeUrl: 'type.googleapis.com/unheard.of' });
    expect(client.take().map(({ typeUrl }) => typeUrl)).toEqual([cluster]);
    expect(client.ended).toBeUndefined();
  });

  test('cells of classes that nobody is connected with are forgotten', async () => {
    const mesh = start({ lingerMs: 0 });
    await mesh.set({ cluster: { a: 'a=1', b: 'b=1' } });
    const client = mesh.open('delta');
    await client.delta({ node: sidecarNode(), typeUrl: cluster });
    expect(mesh.publisher.views.resources).toBe(2);
    client.stream.close();
    const left = (): number => {
      mesh.publisher.graph.sweep();
      const { cells } = mesh.publisher.graph.stats();
      return ['fake.resource', 'fake.cluster.directory', 'fake.class'].reduce(
        (n, name) => n + (cells.get(name) ?? 0),
        0,
      );
    };
    await expect.poll(left).toBe(0);
  });

  test('a class whose last stream comes back soon is not computed again', async () => {
    const mesh = start();
    await mesh.set({ cluster: { a: 'a=1', b: 'b=1' } });
    const computed = (): number | undefined => mesh.publisher.graph.stats().computed.get('fake.resource');
    const first = mesh.open('delta');
    await first.delta({ node: sidecarNode(), typeUrl: cluster });
    first.stream.close();
    await mesh.publisher.idle();
    expect(computed()).toBe(2);
    await mesh.set({ cluster: { a: 'a=2', b: 'b=1' } });
    const second = mesh.open('delta');
    await second.delta({ node: sidecarNode(), typeUrl: cluster });
    expect([...(second.take()[0]?.resources.values() ?? [])]).toEqual(['a=2', 'b=1']);
    expect(computed()).toBe(3);
  });

  test('a client that subscribes and unsubscribes without end leaves nothing behind', async () => {
    const mesh = start();
    const client = mesh.open('delta');
    await client.delta({ node: sidecarNode(), typeUrl: endpoint, resourceNamesSubscribe: ['x'] });
    mesh.publisher.graph.sweep();
    const before = mesh.publisher.graph.size;
    for (let i = 0; i < 2000; i++) {
      await client.delta({ typeUrl: endpoint, resourceNamesSubscribe: [`n${i}`] });
      await client.delta({ typeUrl: endpoint, resourceNamesUnsubscribe: [`n${i}`] });
    }
    expect(mesh.publisher.views.all().map(({ size }) => size)).toEqual([1]);
    // Swept in between, once it was worth while; the last sweep may still have slices to go.
    await expect.poll(() => mesh.publisher.graph.unwanted).toBeLessThan(1000);
    expect(mesh.publisher.graph.size).toBeLessThan(before + 2000);
    mesh.publisher.graph.sweep();
    expect(mesh.publisher.graph.size).toBe(before);
  });
});
