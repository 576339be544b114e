// Statuses over a store that hears of each write, and an API server that may refuse or hold something else.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { defaultMeshConfig } from '../../config/mesh.ts';
import { surroundingsOf } from '../../config/relations/view.ts';
import { startKubeSource } from '../../config/sources/kube.ts';
import type { KubeAnswer, KubeApi, WatchEvent } from '../../config/sources/kube-api.ts';
import type { CheckObject } from '../../config/sources/source.ts';
import { Store } from '../../config/store.ts';
import { validate } from '../../config/validate.ts';
import { RelationFindings } from '../relation-findings.ts';
import { rest } from '../rest.ts';
import { ObjectStatus } from './object-status.ts';

interface Raw {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels?: Readonly<Record<string, string>>;
    resourceVersion?: string;
    generation?: number;
  };
  readonly spec: unknown;
  readonly status?: Readonly<Record<string, unknown>>;
}

beforeEach(() => void vi.useFakeTimers({ now: 1_900_000_000_000 }));
afterEach(() => void vi.useRealTimers());

const plurals: Readonly<Record<string, string>> = {
  VirtualService: 'virtualservices',
  DestinationRule: 'destinationrules',
};
const check: CheckObject = (raw) => validate(raw, { unknown: 'warning', revision: 'default' });

/** An API server of one namespace that has what is put into it, and the source that follows it. */
function world() {
  const objects = new Map<string, Raw>();
  const watches = new Map<string, (events: readonly WatchEvent[]) => void>();
  const calls: string[] = [];
  const logged: string[] = [];
  const state = {
    version: 100,
    refuse: undefined as KubeAnswer | undefined,
    /** Objects that take no status. */
    closed: new Set<string>(),
    onceRead: undefined as (() => void) | undefined,
  };
  const put = (raw: Raw): void => {
    const plural = plurals[raw.kind] ?? '';
    const path = `${plural}/${raw.metadata.name}`;
    const old = objects.get(path);
    const same = JSON.stringify(old?.spec) === JSON.stringify(raw.spec);
    const generation = (old?.metadata.generation ?? 0) + (same ? 0 : 1);
    const metadata = { ...raw.metadata, uid: path, resourceVersion: String(++state.version), generation };
    const status = raw.status ?? old?.status;
    const object = { ...raw, metadata, ...(status === undefined ? {} : { status }) };
    objects.set(path, object);
    watches.get(plural)?.([{ type: old === undefined ? 'ADDED' : 'MODIFIED', object }]);
  };
  const send: KubeApi['send'] = async (method, path, body) => {
    // Asked where a kind is not installed.
    if (path === '/version') return { status: 200, body: {} };
    const [, name = ''] = path.split('/namespaces/ns/');
    calls.push(`${method} ${name}`);
    if (state.refuse !== undefined) return state.refuse;
    const object = objects.get(name.replace('/status', ''));
    if (object === undefined) return { status: 404, body: {} };
    if (method === 'GET') {
      const { onceRead } = state;
      state.onceRead = undefined;
      onceRead?.();
      return { status: 200, body: object };
    }
    if (state.closed.has(object.metadata.name)) return { status: 403, body: {} };
    const { metadata, status } = body as { metadata: { resourceVersion: string }; status: Record<string, unknown> };
    if (metadata.resourceVersion !== object.metadata.resourceVersion) return { status: 409, body: {} };
    const merged = Object.entries({ ...object.status, ...status }).filter(([, value]) => value !== null);
    put({ ...object, status: Object.fromEntries(merged) });
    return { status: 200, body: {} };
  };
  const api: KubeApi = {
    origin: 'test',
    send,
    watch: (path, onEvents, signal, _idleMs, onOpen) => {
      const plural = path.split('?')[0]?.split('/').at(-1) ?? '';
      if (!path.includes('/v1/')) return Promise.resolve({ status: 404, message: '' });
      watches.set(plural, onEvents);
      onOpen?.();
      const all = [...objects].filter(([name]) => name.startsWith(`${plural}/`)).map(([, object]) => object);
      const end = { metadata: { resourceVersion: '1', annotations: { 'k8s.io/initial-events-end': 'true' } } };
      onEvents([...all.map((object) => ({ type: 'ADDED', object })), { type: 'BOOKMARK', object: end }]);
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stopped'))));
    },
    [Symbol.dispose]: () => undefined,
  };
  const store = new Store();
  const rejected = new Map<string, string>();
  const undiscovered = new Set<string>();
  const counts = { written: 0, failed: 0 };
  const newStatus = (): ObjectStatus =>
    new ObjectStatus({
      ...{ api, store, check, sleep: rest, random: () => 0, now: Date.now },
      meshConfigMap: 'istio-system/istio',
      surroundings: () => surroundingsOf(store, defaultMeshConfig, 'cluster.local'),
      rejections: () => new Map(rejected),
      isCounted: (_, namespace) => !undiscovered.has(namespace),
      count: (outcome) => counts[outcome]++,
      log: (message) => logged.push(message),
    });
  const start = (): void => {
    new RelationFindings({
      ...{ store, sleep: rest, meshConfigMap: 'istio-system/istio' },
      surroundings: () => surroundingsOf(store, defaultMeshConfig, 'cluster.local'),
      isCounted: (_, namespace) => !undiscovered.has(namespace),
      published: () => Promise.resolve(),
      report: store.sinkOf('relations').report,
    });
    startKubeSource({ api, check, sleep: rest, random: () => 0, now: Date.now }, store.sinkOf('kubernetes'));
  };
  const conditionsOf = (name: string) =>
    (
      (objects.get(name)?.status?.['conditions'] ?? []) as readonly { type: string; status: string; reason: string }[]
    ).map(({ type, status, reason }) => `${type} ${status} ${reason}`);
  return {
    put,
    store,
    start,
    newStatus,
    objects,
    calls,
    logged,
    state,
    rejected,
    undiscovered,
    counts,
    conditionsOf,
  };
}

const route = (name: string, spec: unknown): Raw => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name, namespace: 'ns' },
  spec,
});
const rule = (name: string, host: string): Raw => ({ ...route(name, { host }), kind: 'DestinationRule' });
const good = { hosts: ['a.example.com'], http: [{ directResponse: { status: 404 } }] };
const bad = { hosts: 7 };
const pass = (ms = 1_200) => vi.advanceTimersByTimeAsync(ms);

test('10,000 healthy objects are neither read nor written', async () => {
  const { put, start, newStatus, calls } = world();
  for (let i = 0; i < 10_000; i++) put(route(`v${i}`, { ...good, hosts: [`h${i}.example.com`] }));
  start();
  await pass();
  newStatus().lead(true);
  await pass(120_000);
  expect(calls).toEqual([]);
}, 60_000);

test('a replica that does not lead writes nothing, and stops when it no longer leads', async () => {
  const { put, start, newStatus, calls, conditionsOf } = world();
  put(route('v', bad));
  start();
  const status = newStatus();
  await pass();
  expect(calls).toEqual([]);
  status.lead(true);
  await pass();
  expect(conditionsOf('virtualservices/v')).toEqual(['Accepted False Invalid']);
  status.lead(false);
  put(route('w', bad));
  await pass(10_000);
  expect(conditionsOf('virtualservices/w')).toEqual([]);
  const before = calls.length;
  newStatus().lead(true);
  await pass(10_000);
  expect(calls.slice(before).filter((call) => call.startsWith('PATCH'))).toEqual(['PATCH virtualservices/w/status']);
});

test('its own writes start nothing', async () => {
  const { put, start, newStatus, calls } = world();
  put(route('v', bad));
  put(rule('r', 'nowhere'));
  start();
  newStatus().lead(true);
  await pass(60_000);
  const patches = calls.filter((call) => call.startsWith('PATCH'));
  expect(patches.sort()).toEqual(['PATCH destinationrules/r/status', 'PATCH virtualservices/v/status']);
  expect(calls.length).toBeLessThan(7);
});

test('another generation of what stays invalid is taken note of', async () => {
  const { put, start, newStatus, objects } = world();
  put(route('v', bad));
  start();
  newStatus().lead(true);
  await pass();
  put(route('v', { ...bad, gateways: ['x'] }));
  await pass(5_000);
  expect(objects.get('virtualservices/v')?.status?.['observedGeneration']).toBe(2);
});

test('a conflict is judged anew, even where the watch has nothing new to tell of an invalid object', async () => {
  const { put, start, newStatus, state, calls, conditionsOf } = world();
  put(route('v', bad));
  start();
  state.onceRead = () =>
    put({ ...route('v', bad), status: { conditions: [{ type: 'Theirs', status: 'True', reason: 'R' }] } });
  newStatus().lead(true);
  await pass(10_000);
  expect(conditionsOf('virtualservices/v')).toEqual(['Theirs True R', 'Accepted False Invalid']);
  expect(calls.slice(0, 4)).toEqual([
    ...['GET virtualservices/v', 'PATCH virtualservices/v/status'],
    ...['GET virtualservices/v', 'PATCH virtualservices/v/status'],
  ]);
});

test('two who disagree do not write without end', async () => {
  const { put, start, newStatus, calls, objects } = world();
  put(rule('r', 'nowhere'));
  start();
  newStatus().lead(true);
  for (let second = 0; second < 600; second++) {
    await pass(1_000);
    const object = objects.get('destinationrules/r');
    if (object?.status !== undefined) put({ ...object, status: {} });
  }
  expect(calls.filter((call) => call.startsWith('PATCH')).length).toBeLessThan(20);
});

test.each([
  [403, 'each by itself', 600],
  [503, 'together', 550],
])('refusals (%d) are tried again, %s ever less often, and said', async (status, _, most) => {
  const { put, start, newStatus, state, calls, counts, logged, conditionsOf } = world();
  for (let i = 0; i < 20; i++) put(route(`v${i}`, bad));
  start();
  state.refuse = { status, body: { message: 'no' } };
  newStatus().lead(true);
  await pass(600_000);
  expect(calls.length).toBeLessThan(most);
  expect(counts.failed).toBe(calls.length);
  expect(logged[0]).toMatch(
    /^the status of VirtualService ns\/v\d+ cannot be written: the API server answered \d+ no$/,
  );
  state.refuse = undefined;
  await pass(120_000);
  expect(conditionsOf('virtualservices/v7')).toEqual(['Accepted False Invalid']);
  expect(counts.written).toBe(20);
});

test('a status that is always refused slows no other, and looks at all do not have it tried more often', async () => {
  const { put, start, newStatus, store, state, calls, conditionsOf } = world();
  put(route('refused', bad));
  state.closed.add('refused');
  start();
  newStatus().lead(true);
  const namespaces = store.sinkOf('namespaces');
  for (let second = 0; second < 600; second++) {
    namespaces.apply([{ kind: 'Namespace', key: '/other', object: undefined }]);
    await pass(1_000);
  }
  const attempts = calls.filter((call) => call === 'PATCH virtualservices/refused/status').length;
  expect(attempts).toBeGreaterThan(10);
  expect(attempts).toBeLessThan(30);
  put(route('v', bad));
  await pass();
  expect(conditionsOf('virtualservices/v')).toEqual(['Accepted False Invalid']);
  state.closed.clear();
  put(route('refused', { ...bad, gateways: ['x'] }));
  await pass();
  expect(conditionsOf('virtualservices/refused')).toEqual(['Accepted False Invalid']);
});

test('objects that went, or whose definition has no status, are left alone', async () => {
  const { put, start, newStatus, calls, state, counts } = world();
  put(route('v', bad));
  start();
  await pass();
  state.refuse = { status: 404, body: {} };
  newStatus().lead(true);
  await pass(60_000);
  expect(calls).toEqual(['GET virtualservices/v', 'GET virtualservices/v', 'GET virtualservices/v']);
  expect(counts).toEqual({ written: 0, failed: 0 });
});

test('namespaces of which the mesh takes no notice are told nothing', async () => {
  const { put, start, newStatus, calls, undiscovered } = world();
  undiscovered.add('ns');
  put(route('v', bad));
  put(rule('r', 'nowhere'));
  start();
  newStatus().lead(true);
  await pass(60_000);
  expect(calls).toEqual([]);
});

test('what is said of others follows them', async () => {
  const { put, start, newStatus, conditionsOf } = world();
  put(rule('r', 'e.example.com'));
  put(rule('s', '*.com'));
  start();
  newStatus().lead(true);
  await pass();
  expect(conditionsOf('destinationrules/r')).toEqual(['Accepted True AcceptedWithWarnings']);
  expect(conditionsOf('destinationrules/s')).toEqual([]);
  put(rule('r', '*.example.com'));
  await pass(5_000);
  expect(conditionsOf('destinationrules/r')).toEqual([]);
});

test('what was said of an object is taken back when it becomes another revision’s, and nothing is said from then on', async () => {
  const { put, start, newStatus, calls, conditionsOf } = world();
  const other = { 'istio.io/rev': 'other' };
  const theirs = (raw: Raw): Raw => ({ ...raw, metadata: { ...raw.metadata, labels: other } });
  put(rule('r', 'nowhere'));
  put(route('v', bad));
  put(theirs(route('w', bad)));
  start();
  newStatus().lead(true);
  await pass();
  expect(conditionsOf('destinationrules/r')).toEqual(['Accepted True AcceptedWithWarnings']);
  expect(conditionsOf('virtualservices/v')).toEqual(['Accepted False Invalid']);
  put(theirs(rule('r', 'nowhere')));
  put(theirs(route('v', bad)));
  await pass(5_000);
  expect(conditionsOf('destinationrules/r')).toEqual([]);
  expect(conditionsOf('virtualservices/v')).toEqual([]);
  const before = calls.length;
  put(theirs(rule('r', 'elsewhere')));
  await pass(120_000);
  expect(calls.slice(before)).toEqual([]);
  expect(calls.some((call) => call.includes('/w'))).toBe(false);
  put(route('v', bad));
  await pass(5_000);
  expect(conditionsOf('virtualservices/v')).toEqual(['Accepted False Invalid']);
});

test('rejections are told and taken back, those that another leader saw only after a while', async () => {
  const { put, start, newStatus, rejected, conditionsOf } = world();
  put(rule('r', '*.com'));
  start();
  const status = newStatus();
  status.lead(true);
  rejected.set('DestinationRule ns/r', 'cluster c is rejected by 1 proxy');
  await pass(4_000);
  expect(conditionsOf('destinationrules/r')).toEqual(['Programmed False ProxyRejected']);
  rejected.clear();
  await pass(4_000);
  expect(conditionsOf('destinationrules/r')).toEqual([]);
  rejected.set('DestinationRule ns/r', 'cluster c is rejected by 1 proxy');
  await pass(10_000);
  status.lead(false);
  rejected.clear();
  newStatus().lead(true);
  await pass(50_000);
  expect(conditionsOf('destinationrules/r')).toEqual(['Programmed False ProxyRejected']);
  await pass(15_000);
  expect(conditionsOf('destinationrules/r')).toEqual([]);
});

test('nothing is written after it was disposed', async () => {
  const { put, start, newStatus, calls } = world();
  put(route('v', bad));
  start();
  const status = newStatus();
  status.lead(true);
  await status[Symbol.asyncDispose]();
  await pass(10_000);
  expect(calls).toEqual([]);
});
