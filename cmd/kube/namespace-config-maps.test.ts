// A text in namespaces, over a store that hears of each write: rotation, who may write, and API servers that refuse.
import { expect, test } from 'vitest';
import type { KubeApi } from '../../config/sources/kube-api.ts';
import { Store } from '../../config/store.ts';
import { validate } from '../../config/validate.ts';
import { NamespaceConfigMaps } from './namespace-config-maps.ts';

function world() {
  const store = new Store();
  const sink = store.sinkOf('test');
  const put = (raw: { kind: string; metadata: { name: string; namespace?: string } }): void => {
    const { object } = validate({ apiVersion: 'v1', ...raw }, { unknown: 'ignore' });
    if (object === undefined) throw new Error(`bad ${raw.kind}`);
    const key = `${raw.metadata.namespace ?? ''}/${raw.metadata.name}`;
    sink.apply([{ kind: object.kind as 'ConfigMap', key, object }]);
  };
  const calls: string[] = [];
  const state = { roots: 'one' as string | undefined, refuse: 0, undiscovered: '', now: 0 };
  const api: Pick<KubeApi, 'send'> = {
    send: async (method, path, body) => {
      const namespace = path.split('/')[4] ?? '';
      calls.push(`${method} ${namespace}`);
      if (state.refuse-- > 0) return { status: 500, body: {} };
      const { data, metadata } = body as { data: object; metadata: { labels: object } };
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
    sleep: () => new Promise((resolve) => setImmediate(resolve)),
    monotonic: () => state.now,
    report: sink.report,
    log: () => undefined,
  });
  const sync = () => sink.status({ synced: true, connected: true, since: 0 });
  const rootOf = (namespace: string) =>
    store.get('ConfigMap', `${namespace}/istio-ca-root-cert`)?.data?.['root-cert.pem'];
  return { roots, store, sink, put, calls, state, sync, rootOf };
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
};

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
  state.now = 600_000;
  roots.lookAtAll();
  await settle();
  expect([rootOf('a'), store.findings()]).toEqual(['two', []]);
});
