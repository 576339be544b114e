// Findings about objects among others: from when everything was read, and again whenever one of the others changes.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Diagnostic, formatDiagnostic } from '../config/diagnostic.ts';
import type { KindName } from '../config/kinds/kinds.ts';
import { defaultMeshConfig } from '../config/mesh.ts';
import { surroundingsOf } from '../config/relations/view.ts';
import { Store } from '../config/store.ts';
import { validate } from '../config/validate.ts';
import { RelationFindings } from './relation-findings.ts';
import { rest } from './rest.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function world(): {
  readonly put: (kind: KindName, name: string, spec?: object, data?: object) => void;
  readonly remove: (kind: KindName, name: string) => void;
  readonly synced: () => void;
  readonly state: { counts: boolean; published: Promise<void> };
  readonly reports: string[];
  readonly findings: () => readonly string[];
  readonly relations: RelationFindings;
} {
  const store = new Store();
  const sink = store.sinkOf('files');
  const state = { counts: true, published: Promise.resolve() };
  const reports: string[] = [];
  let line = 0;
  const { report } = store.sinkOf('relations');
  const relations = new RelationFindings({
    ...{ store, sleep: rest, meshConfigMap: 'istio-system/istio' },
    surroundings: () => surroundingsOf(store, defaultMeshConfig, 'cluster.local'),
    isCounted: () => state.counts,
    published: () => state.published,
    report: (unit: string, found: readonly Diagnostic[]) => {
      reports.push(unit);
      report(unit, found);
    },
  });
  return {
    put: (kind, name, spec = {}, data = {}) => {
      const apiVersion = kind === 'VirtualService' || kind === 'Gateway' ? 'networking.istio.io/v1' : 'v1';
      const namespace = kind === 'ConfigMap' ? 'istio-system' : 'ns';
      const { object } = validate({ apiVersion, kind, metadata: { name, namespace }, spec, ...data });
      if (object === undefined) throw new Error(`${kind} ${name} is not valid`);
      const position = { file: 'a.yaml', line: ++line, column: 1 };
      sink.apply([{ kind, key: `${namespace}/${name}`, object, position }]);
    },
    remove: (kind, name) => sink.apply([{ kind, key: `ns/${name}`, object: undefined }]),
    synced: () => sink.status({ synced: true, connected: true, since: 0 }),
    state,
    reports,
    findings: () => store.findings().map(formatDiagnostic),
    relations,
  };
}

const routes = { hosts: ['a.example.com'], gateways: ['edge'], http: [{ directResponse: { status: 404 } }] };
const servers = [{ port: { number: 80, protocol: 'HTTP', name: 'http' }, hosts: ['*'] }];
const pass = (ms = 1_000) => vi.advanceTimersByTimeAsync(ms);
const missing =
  'a.yaml:1:1: warning[invalid-reference] VirtualService ns/v spec.gateways[0]: Gateway ns/edge does not exist';

test('begins when everything was read, follows the others, and says where the object stands', async () => {
  const { put, remove, synced, findings, reports } = world();
  put('VirtualService', 'v', routes);
  await pass(60_000);
  expect(findings()).toEqual([]);
  synced();
  await pass();
  expect(findings()).toEqual([missing]);
  put('Gateway', 'edge', { servers });
  await pass();
  expect(findings()).toEqual([]);
  remove('Gateway', 'edge');
  await pass();
  expect(findings()).toEqual([missing]);
  remove('VirtualService', 'v');
  await pass();
  expect(findings()).toEqual([]);
  expect(reports).toHaveLength(4);
});

test('what is found again is not told again', async () => {
  const { put, synced, findings, reports } = world();
  put('VirtualService', 'v', routes);
  synced();
  await pass();
  for (let i = 0; i < 10; i++) {
    put('Service', `s${i}`);
    await pass();
  }
  expect(findings()).toEqual([missing]);
  expect(reports).toEqual(['VirtualService ns/v']);
});

test('waits for the graph, which knows the settings', async () => {
  const { put, synced, state, findings } = world();
  put('VirtualService', 'v', routes);
  const { promise, resolve } = Promise.withResolvers<void>();
  state.published = promise;
  synced();
  await pass(10_000);
  expect(findings()).toEqual([]);
  resolve();
  await pass();
  expect(findings()).toEqual([missing]);
});

test('settings may leave namespaces out, and take them in again', async () => {
  const { put, synced, state, findings } = world();
  put('VirtualService', 'v', routes);
  synced();
  await pass();
  state.counts = false;
  put('ConfigMap', 'other', {}, { data: {} });
  await pass();
  expect(findings()).toEqual([missing]);
  put('ConfigMap', 'istio', {}, { data: {} });
  await pass();
  expect(findings()).toEqual([]);
  state.counts = true;
  put('ConfigMap', 'istio', {}, { data: { mesh: '' } });
  await pass();
  expect(findings()).toEqual([missing]);
});

test('pods, which come and go, are waited for a while', async () => {
  const { put, synced, findings } = world();
  put('Gateway', 'edge', { selector: { app: 'edge' }, servers });
  put('Pod', 'p');
  synced();
  await pass();
  expect(findings()).toEqual([expect.stringContaining('a pod with these labels does not exist')]);
  put('Pod', 'p', {}, { metadata: { name: 'p', namespace: 'ns', labels: { app: 'edge' } } });
  await pass(5_000);
  expect(findings()).toHaveLength(1);
  await pass(6_000);
  expect(findings()).toEqual([]);
});

test('nothing is told after it was disposed', async () => {
  const { put, synced, findings, relations } = world();
  put('VirtualService', 'v', routes);
  synced();
  await relations[Symbol.asyncDispose]();
  put('VirtualService', 'w', routes);
  await pass(20_000);
  expect(findings()).toEqual([]);
});
