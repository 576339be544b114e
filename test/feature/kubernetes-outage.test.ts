// What operators are told of an API server that is away and of a right that is missing: /ready, log, status and metrics.
import { readFile } from 'node:fs/promises';
import { join, matchesGlob } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PolicyRule, rbacObjects } from '../../cmd/kube/rbac.ts';
import { startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { leastPrivilege, systemNamespace } from '../support/kubernetes-plane.ts';
import { waitFor } from '../support/wait.ts';

let server: TestApiServer;
let plane: TestDiscovery;

const clusterRole = rbacObjects({ namespace: systemNamespace, revision: '' }).find(
  ({ kind }) => kind === 'ClusterRole',
);
/** The role without the right to a resource. */
function roleWithout(resource: string): KubeObject {
  const rules = (clusterRole?.['rules'] ?? []) as readonly PolicyRule[];
  const without = rules.map(({ resources, ...rule }) => ({
    ...rule,
    resources: resources?.filter((r) => r !== resource),
  }));
  return { ...(clusterRole as KubeObject), rules: without.filter((rule) => rule.resources?.length !== 0) };
}

beforeAll(async () => {
  server = await startApiServer();
  const kubeconfig = await leastPrivilege(server);
  await server.client.apply(roleWithout('endpointslices'));
  await server.kill();
  plane = await startDiscovery({ kubeconfig, untilReady: false });
}, 300_000);
afterAll(async () => {
  await plane?.[Symbol.asyncDispose]();
  await server?.stop();
});

async function ready(): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${plane.ports.http}/ready`);
  return `${answer.status} ${await answer.text()}`;
}
interface Part {
  readonly synced: boolean;
  readonly connected: boolean;
  readonly message?: string;
}
async function source(): Promise<Part & { readonly parts?: Readonly<Record<string, Part>> }> {
  return JSON.parse(await plane.get('/debug/status')).sources.kubernetes;
}
async function metric(name: string, labels = ''): Promise<number> {
  const line = (await plane.get('/metrics')).split('\n').find((one) => one.startsWith(`${name}${labels} `));
  return Number(line?.split(' ').at(-1) ?? Number.NaN);
}
const logged = (pattern: RegExp): number =>
  plane.child
    .output()
    .split('\n')
    .filter((line) => pattern.test(line)).length;

test('with the API server away at the start the ports answer, and say which server is waited for', async () => {
  const refused = new RegExp(`^503 not ready: ${server.url} \\(context test of .*\\): connect ECONNREFUSED`);
  expect(await waitFor('the reason', async () => refused.test(await ready()))).toBe(true);
  expect(await source()).toMatchObject({
    synced: false,
    connected: false,
    message: expect.stringContaining(server.url),
  });
  expect(await metric('controller_sync_errors_total')).toBeGreaterThan(0);
  await waitFor('more attempts', async () => (await metric('controller_sync_errors_total')) > 3);
  expect(logged(/the API server is not usable yet/)).toBe(1);
});

test('a kind that may not be read is named with the server’s words, in /ready, status, log and metrics', async () => {
  await server.start();
  const forbidden = /endpointslices\.discovery\.k8s\.io is forbidden/;
  const reason = () => ready().catch(() => '');
  await waitFor('the reason', async () => forbidden.test(await reason()), { timeoutMs: 30_000, detail: reason });
  const alone = /^503 not ready: .*: kubernetes: EndpointSlice: 403 [^;]*$/;
  await waitFor('all others', async () => alone.test(await reason()), { detail: reason });
  const { synced, connected, parts = {} } = await source();
  expect([synced, connected, parts['Pod']?.connected, parts['EndpointSlice']?.connected]).toEqual([
    ...[false, false, true, false],
  ]);
  expect(parts['EndpointSlice']?.message).toMatch(forbidden);
  await waitFor('the log', () => logged(forbidden) > 0);
  expect(await metric('meltemi_source_connected', '{source="kubernetes",kind="EndpointSlice"}')).toBe(0);
  expect(await metric('meltemi_source_connected', '{source="kubernetes",kind="Pod"}')).toBe(1);
  expect(await metric('meltemi_source_age_seconds', '{source="kubernetes",kind="EndpointSlice"}')).toBeGreaterThan(0);
  const errors = await metric('controller_sync_errors_total');
  // They come ever more rarely.
  const more = async () => (await metric('controller_sync_errors_total')) > errors;
  await waitFor('more attempts', more, { timeoutMs: 30_000 });
  // A stream and a list are refused in different words: each of them is told once, however often it is tried.
  expect(logged(/cannot list resource \\"endpointslices\\"/)).toBeLessThanOrEqual(1);
  expect(logged(/cannot watch resource \\"endpointslices\\"/)).toBeLessThanOrEqual(1);
  expect(logged(forbidden)).toBeGreaterThan(0);
}, 90_000);

test('with the right it is ready, and says so once', async () => {
  await server.client.apply(roleWithout(''));
  await waitFor('readiness', async () => (await ready().catch(() => '')) === '200 ready\n', { timeoutMs: 30_000 });
  await waitFor('the line', () => logged(/"parts":\["EndpointSlice"\].*in touch again/) === 1);
  expect(await metric('meltemi_source_connected', '{source="kubernetes",kind="EndpointSlice"}')).toBe(1);
  expect(await metric('meltemi_source_age_seconds', '{source="kubernetes",kind="EndpointSlice"}')).toBe(0);
}, 60_000);

test('a server that is lost and comes back costs one line each, with all kinds in it', async () => {
  const recoveries = () => logged(/"left":0,"msg":"in touch again"/);
  const before = recoveries();
  await server.kill();
  await waitFor('the loss', async () => (await source()).connected === false);
  await waitFor('the log', () => logged(/out of touch: .*ECONNREFUSED/) > 0);
  expect((await ready()).startsWith('200')).toBe(true);
  await server.start();
  await waitFor('the recovery', async () => (await source()).connected, { timeoutMs: 30_000 });
  await waitFor('the log', () => recoveries() > before);
}, 90_000);

test('what it knows is counted', async () => {
  const service = (name: string, more: object = {}): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { ports: [{ port: 80 }], ...more },
  });
  const services = await metric('pilot_services');
  const updates = await metric('pilot_inbound_updates', '{type="svc"}');
  await server.client.apply(service('empty', { selector: { app: 'none' } }));
  await server.client.apply(service('other'));
  await server.client.create({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'other-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'other' } },
    addressType: 'IPv4',
    endpoints: [
      { addresses: ['10.0.0.1'], targetRef: { kind: 'Pod', name: 'absent', namespace: 'default' } },
      { addresses: ['10.0.0.2'], conditions: { ready: false } },
    ],
  });
  await waitFor('the services', async () => (await metric('pilot_services')) === services + 2);
  await waitFor('the endpoints', async () => (await metric('endpoint_no_pod')) === 1);
  expect(await metric('pilot_eds_no_instances')).toBe(1);
  expect(await metric('pilot_endpoint_not_ready')).toBe(1);
  expect(await metric('pilot_inbound_updates', '{type="svc"}')).toBe(updates + 2);
  await server.client.delete(service('other'));
  await waitFor('the deletion', async () => (await metric('pilot_inbound_updates', '{type="svcdelete"}')) >= 1);
  expect(await metric('pilot_k8s_reg_events', '{type="Service",event="add"}')).toBeGreaterThan(2);
  expect(await metric('pilot_k8s_reg_events', '{type="Service",event="delete"}')).toBe(1);
  expect(await metric('pilot_push_triggers', '{type="service"}')).toBeGreaterThan(0);
  expect(await metric('istiod_managed_clusters', '{cluster_type="local"}')).toBe(1);
  expect(await metric('pilot_virt_services')).toBe(0);
  expect(await metric('pilot_no_ip')).toBe(0);
});

test('every metric of its own is in the documentation', async () => {
  const docs = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'kubernetes.md'), 'utf8');
  const known = [...docs.matchAll(/`([a-z0-9_*{},]+?)(?:\{[a-z_]+(?:,[a-z_]+)*\})?`/g)].flatMap(([, name = '']) => {
    const [, head = name, choices, tail = ''] = /^(.*)\{(.*)\}(.*)$/.exec(name) ?? [];
    return (choices?.split(',') ?? ['']).map((one) => `${head}${one}${tail}`);
  });
  const names = [...(await plane.get('/metrics')).matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name);
  const own = names.filter((name) => !/^(process|nodejs)_/.test(name));
  expect(own.length).toBeGreaterThan(30);
  expect(own.filter((name) => !known.some((pattern) => matchesGlob(name, pattern)))).toEqual([]);
});

test('told to stop while the API server hangs it ends in a few seconds, having led no longer than it may', async () => {
  const leads = (leading: boolean): number => logged(new RegExp(`"leading":${leading},`));
  // It may have lost it when the API server was away.
  await waitFor('leadership', () => leads(true) - leads(false) > 3);
  server.pause();
  try {
    // Its Leases end after 30 seconds, and it renews them every ten.
    await waitFor('the end of leadership', () => leads(false) === leads(true), { timeoutMs: 22_000 });
    plane.child.signal('SIGTERM');
    const told = performance.now();
    expect(await plane.child.exited).toEqual({ code: 0 });
    expect(performance.now() - told).toBeLessThan(8_000);
  } finally {
    server.resume();
  }
}, 60_000);
