// The status of Ingresses, over a store that hears of each write: who writes, when, and API servers that refuse.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Ingress, IngressPoint } from '../../config/kinds/ingress.ts';
import type { KubeApi } from '../../config/sources/kube-api.ts';
import { Store } from '../../config/store.ts';
import { rest } from '../rest.ts';
import { IngressStatus, wantedPoints } from './ingress-status.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const ingressOf = (name: string, points: readonly IngressPoint[] = [], resourceVersion = '1'): Ingress => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  metadata: { name, namespace: 'shop', resourceVersion },
  status: { loadBalancer: { ingress: points } },
});

describe('what is to be written', () => {
  const ours = [{ ip: '10.0.0.1' }];
  const theirs = [{ hostname: 'lb.example.com' }];
  test.each<[string, readonly IngressPoint[], boolean, readonly IngressPoint[], readonly IngressPoint[] | undefined]>([
    ['our points into one that is served', [], true, ours, ours],
    ['our points over others', theirs, true, ours, ours],
    ['nothing where they stand', ours, true, ours, undefined],
    ['none where there are none any more', ours, true, [], []],
    ['nothing into one that is not served', [], false, ours, undefined],
    ['none into one that is no longer served', ours, false, ours, []],
    ["nothing into another controller's", theirs, false, ours, undefined],
  ])('%s', (_what, says, isServed, points, wanted) => {
    expect(wantedPoints(ingressOf('a', says), isServed, points)).toEqual(wanted);
  });
  test('our points into one without a status', () => {
    const { status: _status, ...bare } = ingressOf('a');
    expect(wantedPoints(bare, true, ours)).toEqual(ours);
    expect(wantedPoints(bare, false, ours)).toBeUndefined();
  });
});

function world(names: readonly string[] = ['a']) {
  const store = new Store();
  const sink = store.sinkOf('test');
  let version = 1;
  const put = (name: string, points: readonly IngressPoint[] = []): void =>
    sink.apply([{ kind: 'Ingress', key: `shop/${name}`, object: ingressOf(name, points, String(version++)) }]);
  const state = {
    points: [{ ip: '10.0.0.1' }] as readonly IngressPoint[],
    serves: true,
    refuse: [] as number[],
    /** Ingresses that take no status. */
    closed: new Set<string>(),
    most: 0,
  };
  const calls: string[] = [];
  const logs: string[] = [];
  let running = 0;
  const api: Pick<KubeApi, 'send'> = {
    send: async (_method, path, body) => {
      state.most = Math.max(state.most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      const { metadata, status } = body as {
        metadata: { resourceVersion: string };
        status: { loadBalancer: { ingress: readonly IngressPoint[] | null } };
      };
      const name = path.split('/')[7] ?? '';
      calls.push(`${name} ${(status.loadBalancer.ingress ?? []).map(({ ip }) => ip).join()}`);
      const refused = state.refuse.shift();
      if (state.closed.has(name)) return { status: 403, body: {} };
      if (refused !== undefined) return { status: refused, body: { message: 'no' } };
      if (metadata.resourceVersion !== store.get('Ingress', `shop/${name}`)?.metadata.resourceVersion) {
        return { status: 409, body: {} };
      }
      put(name, status.loadBalancer.ingress ?? []);
      return { status: 200, body: {} };
    },
  };
  const status = new IngressStatus({
    api,
    store,
    settled: async () => undefined,
    serves: () => state.serves,
    points: () => state.points,
    sleep: rest,
    random: () => 0,
    monotonic: () => performance.now(),
    report: sink.report,
    log: (message) => logs.push(message),
  });
  for (const name of names) put(name);
  sink.status({ synced: true, connected: true, since: 0 });
  const change = (): void => sink.apply([{ kind: 'Service', key: 'istio-system/x', object: undefined }]);
  return { status, store, sink, put, change, state, calls, logs };
}

const settle = (ms = 5_000) => vi.advanceTimersByTimeAsync(ms);

test('only a leader writes, once, and follows what changes', async () => {
  const { status, change, state, calls } = world();
  change();
  await settle();
  expect(calls).toEqual([]);
  status.lead(true);
  await settle();
  expect(calls).toEqual(['a 10.0.0.1']);
  change();
  await settle();
  expect(calls).toHaveLength(1);
  state.points = [{ ip: '10.0.0.2' }];
  change();
  await settle();
  state.serves = false;
  change();
  await settle();
  expect(calls.slice(1)).toEqual(['a 10.0.0.2', 'a ']);
  status.lead(false);
  state.serves = true;
  change();
  await settle();
  expect(calls).toHaveLength(3);
});

test('refusals are tried again, told, and end with the conflict that another change makes', async () => {
  const { status, state, calls, logs } = world();
  state.refuse = [500, 403, 409];
  status.lead(true);
  await settle();
  expect(calls).toEqual(['a 10.0.0.1', 'a 10.0.0.1', 'a 10.0.0.1']);
  expect(logs).toEqual([500, 403].map((code) => `status of Ingress shop/a: the API server answered ${code} no`));
});

test('who is overwritten again and again gives in with a finding, until something else is wanted or time has passed', async () => {
  const { status, store, sink, put, change, state, calls } = world();
  const pointsOf = () => store.get('Ingress', 'shop/a')?.status?.loadBalancer?.ingress;
  const theirs = [{ hostname: 'lb.example.com' }];
  const fight = async (): Promise<number> => {
    const before = calls.length;
    for (let i = 0; i < 20; i++) {
      if (pointsOf()?.[0]?.hostname === undefined) put('a', theirs);
      await settle();
    }
    return calls.length - before;
  };
  const found = () => store.findings().map(({ code, object }) => `${code} ${object?.kind} ${object?.name}`);
  status.lead(true);
  await settle();
  expect(await fight()).toBe(4);
  expect([pointsOf(), found()]).toEqual([theirs, ['contested-object Ingress a']]);
  state.points = [{ ip: '10.0.0.2' }];
  change();
  await settle();
  expect([pointsOf(), found()]).toEqual([state.points, []]);
  expect(await fight()).toBe(4);
  expect([pointsOf(), found().length]).toEqual([theirs, 1]);
  // Nobody says anything any more: it is looked at by itself.
  await settle(600_000);
  expect([pointsOf(), found()]).toEqual([state.points, []]);
  expect(await fight()).toBe(4);
  status.lead(false);
  expect(found()).toEqual([]);
  status.lead(true);
  await settle();
  expect(found()).toHaveLength(1);
  sink.apply([{ kind: 'Ingress', key: 'shop/a', object: undefined }]);
  await settle();
  expect(found()).toEqual([]);
});

test('few requests are under way at once, and all Ingresses get theirs', async () => {
  const names = Array.from({ length: 30 }, (_, i) => `i${i}`);
  const { status, state, calls } = world(names);
  status.lead(true);
  await settle();
  expect(new Set(calls).size).toBe(30);
  expect(state.most).toBe(4);
});

test('Ingresses that refuse keep none of the others waiting, and are asked ever less often', async () => {
  const names = Array.from({ length: 20 }, (_, i) => `i${i}`);
  const { status, store, put, change, state, calls } = world(names);
  for (const name of names.slice(0, 10)) state.closed.add(name);
  const open = () =>
    names.filter((name) => store.get('Ingress', `shop/${name}`)?.status?.loadBalancer?.ingress?.length);
  status.lead(true);
  await settle(10);
  expect(open()).toEqual(names.slice(10));
  for (let i = 0; i < 600; i++) {
    change();
    await settle(1_000);
  }
  const attempts = calls.filter((call) => call.startsWith('i0 ')).length;
  expect(attempts).toBeGreaterThan(10);
  expect(attempts).toBeLessThan(30);
  state.closed.clear();
  put('i3');
  await settle(10);
  expect(open()).toContain('i3');
  state.points = [{ ip: '10.0.0.2' }];
  change();
  await settle(10);
  expect(open()).toEqual(names);
});

test('nothing is written after it was disposed', async () => {
  const { status, calls, change } = world();
  await status[Symbol.asyncDispose]();
  status.lead(true);
  change();
  await settle();
  expect(calls).toEqual([]);
});
