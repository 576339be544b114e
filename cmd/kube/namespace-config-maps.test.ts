// A text in namespaces, over a store that hears of each write: rotation, who may write, and API servers that refuse.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { KubeApi } from '../../config/sources/kube-api.ts';
import { Store } from '../../config/store.ts';
import { validate } from '../../config/validate.ts';
import { rest } from '../rest.ts';
import { NamespaceConfigMaps } from './namespace-config-maps.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function world() {
  const store = new Store();
  const sink = store.sinkOf('test');
  let version = 0;
  const put = (raw: { kind: string; metadata: { name: string; namespace?: string } }): void => {
    const metadata = { ...raw.metadata, resourceVersion: String(++version) };
    const { object } = validate({ apiVersion: 'v1', ...raw, metadata }, { unknown: 'ignore' });
    if (object === undefined) throw new Error(`bad ${raw.kind}`);
    const key = `${raw.metadata.namespace ?? ''}/${raw.metadata.name}`;
    sink.apply([{ kind: object.kind as 'ConfigMap', key, object }]);
  };
  const calls: string[] = [];
  const state = {
    roots: 'one' as string | undefined,
    refuse: 0,
    undiscovered: '',
    /** Namespaces that take no ConfigMap. */
    full: new Set<string>(),
    /** Whether the watch tells of what is written. */
    told: true,
  };
  const versions = new Map<string, string>();
  const api: Pick<KubeApi, 'send'> = {
    send: async (method, path, body) => {
      const namespace = path.split('/')[4] ?? '';
      calls.push(`${method} ${namespace}`);
      if (state.refuse-- > 0) return { status: 500, body: {} };
      if (state.full.has(namespace)) return { status: 403, body: { message: 'exceeded quota' } };
      const { data, metadata } = body as { data: object; metadata: { labels: object; resourceVersion?: string } };
      if (method === 'PATCH' && versions.get(namespace) === metadata.resourceVersion) return { status: 409, body: {} };
      if (metadata.resourceVersion !== undefined) versions.set(namespace, metadata.resourceVersion);
      if (state.told)
        put({ kind: 'ConfigMap', metadata: { ...metadata, name: 'istio-ca-root-cert', namespace }, ...{ data } });
      return { status: 200, body: {} };
    },
  };
  for (const name of ['kube-system', 'a', 'b']) put({ kind: 'Namespace', metadata: { name } });
  const roots = new NamespaceConfigMaps({
    api,
    store,
    name: 'istio-ca-root-cert',
    key: 'root-cert.pem',
    text: () => state.roots,
    isDiscovered: (namespace) => namespace !== state.undiscovered,
    sleep: rest,
    random: () => 0,
    monotonic: () => performance.now(),
    report: sink.report,
    log: () => undefined,
  });
  const sync = () => sink.status({ synced: true, connected: true, since: 0 });
  const rootOf = (namespace: string) =>
    store.get('ConfigMap', `${namespace}/istio-ca-root-cert`)?.data?.['root-cert.pem'];
  return { roots, store, sink, put, calls, state, sync, rootOf };
}

/** Time for the patience of those who do not lead, and for some attempts. */
const settle = (ms = 5_000) => vi.advanceTimersByTimeAsync(ms);

test('nothing is written before everything was read', async () => {
  const { roots, calls, sync } = world();
  roots.lead(true);
  await settle();
  expect(calls).toEqual([]);
  sync();
  await settle();
  expect(calls).toEqual(['POST a', 'POST b']);
});

test('another root reaches every namespace by the leader', async () => {
  const { roots, calls, sync, state, rootOf } = world();
  roots.lead(true);
  sync();
  await settle();
  state.roots = 'two';
  roots.lookAtAll();
  await settle();
  expect(calls.slice(2)).toEqual(['PATCH a', 'PATCH b']);
  expect([rootOf('a'), rootOf('b'), rootOf('kube-system')]).toEqual(['two', 'two', undefined]);
});

test('who does not lead fills gaps, and overwrites nothing', async () => {
  const { roots, calls, sync, state } = world();
  sync();
  await settle();
  expect(calls).toEqual(['POST a', 'POST b']);
  state.roots = 'two';
  roots.lookAtAll();
  await settle();
  expect(calls.length).toBe(2);
});

test('refusals are tried again, other namespaces of the mesh come and go', async () => {
  const { roots, calls, sync, state, put, rootOf } = world();
  state.undiscovered = 'b';
  state.refuse = 3;
  roots.lead(true);
  sync();
  await settle();
  expect(calls).toEqual(['POST a', 'POST a', 'POST a', 'POST a']);
  expect([rootOf('a'), rootOf('b')]).toEqual(['one', undefined]);
  state.undiscovered = '';
  roots.lookAtAll();
  put({ kind: 'Namespace', metadata: { name: 'c' } });
  await settle();
  expect([rootOf('b'), rootOf('c')]).toEqual(['one', 'one']);
});

test('writes that fail are no contest: new roots arrive once the API server takes them', async () => {
  const { roots, store, calls, sync, state, rootOf } = world();
  state.undiscovered = 'b';
  roots.lead(true);
  sync();
  await settle();
  state.roots = 'two';
  state.refuse = 5;
  roots.lookAtAll();
  await settle();
  expect([rootOf('a'), calls.length, store.findings()]).toEqual(['two', 7, []]);
});

test('nothing is written after it was disposed', async () => {
  const { roots, calls, sync } = world();
  roots.lead(true);
  await roots[Symbol.asyncDispose]();
  sync();
  await settle();
  expect(calls).toEqual([]);
});

test('where there is no text any more it is emptied and nowhere made, and where none is known all stays', async () => {
  const { roots, calls, sync, state, put, rootOf } = world();
  state.undiscovered = 'b';
  roots.lead(true);
  sync();
  await settle();
  state.roots = undefined;
  state.undiscovered = '';
  roots.lookAtAll();
  put({
    kind: 'ConfigMap',
    metadata: { name: 'istio-ca-root-cert', namespace: 'a' },
    ...{ data: { 'root-cert.pem': 'x' } },
  });
  await settle();
  expect([rootOf('a'), rootOf('b'), calls.length]).toEqual(['x', undefined, 1]);
  state.roots = '';
  roots.lookAtAll();
  await settle();
  expect([rootOf('a'), rootOf('b'), calls.slice(1)]).toEqual(['', undefined, ['PATCH a']]);
});

test('who is overwritten again and again gives in with a finding, until other roots are in force or time has passed', async () => {
  const { roots, store, calls, sync, state, put, rootOf } = world();
  state.undiscovered = 'b';
  roots.lead(true);
  sync();
  await settle();
  const theirs = { data: { 'root-cert.pem': 'theirs' } };
  const other = () => {
    if (rootOf('a') === 'theirs') return;
    put({ kind: 'ConfigMap', metadata: { name: 'istio-ca-root-cert', namespace: 'a' }, ...theirs });
  };
  const fight = async (): Promise<number> => {
    const before = calls.length;
    for (let i = 0; i < 20; i++) {
      other();
      await settle();
    }
    return calls.length - before;
  };
  expect(await fight()).toBe(5);
  expect(store.findings().map(({ code, object }) => [code, object?.namespace])).toEqual([['contested-object', 'a']]);
  state.roots = 'two';
  roots.lookAtAll();
  await settle();
  expect([rootOf('a'), store.findings()]).toEqual(['two', []]);
  expect(await fight()).toBe(4);
  expect([rootOf('a'), store.findings().length]).toEqual(['theirs', 1]);
  // Nobody says anything any more: it is looked at by itself.
  await settle(600_000);
  expect([rootOf('a'), store.findings()]).toEqual(['two', []]);
});

test('a contest that this replica no longer leads is not its finding', async () => {
  const { roots, store, sync, put, rootOf } = world();
  roots.lead(true);
  sync();
  await settle();
  for (let i = 0; i < 6; i++) {
    put({
      kind: 'ConfigMap',
      metadata: { name: 'istio-ca-root-cert', namespace: 'a' },
      ...{ data: { 'root-cert.pem': `theirs ${i}` } },
    });
    await settle();
  }
  expect([rootOf('a'), store.findings().length]).toEqual(['theirs 5', 1]);
  roots.lead(false);
  expect(store.findings()).toEqual([]);
});

test('while the watch is behind what was written is not written again, and is no contest', async () => {
  const { roots, store, sync, state, put, calls } = world();
  roots.lead(true);
  sync();
  await settle();
  state.roots = 'two';
  state.told = false;
  for (let i = 0; i < 10; i++) {
    roots.lookAtAll();
    await settle();
  }
  expect(store.findings()).toEqual([]);
  state.told = true;
  // Another's change comes to light.
  put({ kind: 'ConfigMap', metadata: { name: 'istio-ca-root-cert', namespace: 'a' } });
  await settle();
  expect(calls.at(-1)).toBe('PATCH a');
  expect(store.get('ConfigMap', 'a/istio-ca-root-cert')?.data).toEqual({ 'root-cert.pem': 'two' });
});

test('namespaces that refuse keep none of the others waiting, and are asked ever less often', async () => {
  const { roots, sync, state, put, calls, rootOf } = world();
  state.undiscovered = 'b';
  const names = Array.from({ length: 20 }, (_, i) => `n${i}`);
  for (const name of names) put({ kind: 'Namespace', metadata: { name } });
  for (const name of names.slice(0, 10)) state.full.add(name);
  roots.lead(true);
  sync();
  await settle(0);
  expect(names.filter((name) => rootOf(name) === 'one')).toEqual(names.slice(10));
  await settle(600_000);
  const attempts = calls.filter((call) => call === 'POST n0').length;
  expect(attempts).toBeGreaterThan(10);
  expect(attempts).toBeLessThan(30);
  put({ kind: 'Namespace', metadata: { name: 'new' } });
  await settle(0);
  expect(rootOf('new')).toBe('one');
  // That others are looked at is no news of one that refuses; other roots are, and so is a change of its own.
  await settle(1_000);
  calls.length = 0;
  roots.lookAtAll();
  await settle(0);
  expect(calls).toEqual([]);
  put({ kind: 'Namespace', metadata: { name: 'n0' } });
  await settle(0);
  expect(calls).toEqual(['POST n0']);
  state.full.clear();
  state.roots = 'two';
  roots.lookAtAll();
  await settle(0);
  expect(names.filter((name) => rootOf(name) !== 'two')).toEqual([]);
});

test('a replica that does not lead waits with its patience for all namespaces at once', async () => {
  const { sync, put, calls } = world();
  for (let i = 0; i < 100; i++) put({ kind: 'Namespace', metadata: { name: `n${i}` } });
  sync();
  await settle(2_900);
  expect(calls).toEqual([]);
  await settle(200);
  expect(calls.length).toBe(102);
});
