// `meltemi discovery` on a real API server with exactly its rights: what it writes, bad input, outages, and two replicas.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ResourceType, typeUrls } from '../../discovery/xds-types.ts';
import type { TestDiscovery } from '../support/discovery.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { holderOf, installDefinitions, leastPrivilege, replica, systemNamespace } from '../support/kubernetes-plane.ts';
import { waitFor } from '../support/wait.ts';
import { sidecarNode } from '../support/xds/client.ts';
import { connect } from '../support/xds/grpc-client.ts';

let server: TestApiServer;
let kubeconfig: string;
let first: TestDiscovery;
let second: TestDiscovery | undefined;

beforeAll(async () => {
  server = await startApiServer();
  kubeconfig = await leastPrivilege(server);
  first = await replica(kubeconfig, 'istiod-1');
}, 300_000);
afterAll(async () => {
  await second?.[Symbol.asyncDispose]();
  await first?.[Symbol.asyncDispose]();
  await server?.stop();
});

const namespace = (name: string): KubeObject => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
const rootsOf = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'istio-ca-root-cert', namespace: name },
});
const service = (name: string, ports: readonly number[] = [80]): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: { ports: ports.map((port) => ({ name: `http-${port}`, port })) },
});

interface Status {
  readonly sources: Readonly<
    Record<string, { readonly synced: boolean; readonly connected: boolean; readonly since: number }>
  >;
  readonly findings: readonly { readonly message: string; readonly code: string; readonly object?: { name: string } }[];
}
const statusOf = async (plane: TestDiscovery) => JSON.parse(await plane.get('/debug/status')) as Status;
const hosts = async (plane: TestDiscovery): Promise<string> => plane.get('/debug/registryz');

async function rootIn(name: string): Promise<string | undefined> {
  const { data, metadata } = await server.client.get(rootsOf(name));
  const labels = metadata['labels'] as Readonly<Record<string, string>> | undefined;
  return labels?.['istio.io/config'] === 'true'
    ? (data as Readonly<Record<string, string>>)['root-cert.pem']
    : undefined;
}

test('the roots are in every namespace but Kubernetes’ own, and come back', async () => {
  const root = await waitFor('the roots', () => rootIn('default'));
  expect(root).toContain('BEGIN CERTIFICATE');
  await server.client.apply(namespace('shop'));
  expect(await waitFor('the roots in a new namespace', () => rootIn('shop'))).toBe(root);
  await server.client.delete(rootsOf('shop'));
  expect(await waitFor('the roots again', () => rootIn('shop'))).toBe(root);
  await server.client.merge(rootsOf('shop'), { metadata: { labels: null }, data: { 'root-cert.pem': 'mine' } });
  await waitFor('the edit to be undone', async () => (await rootIn('shop')) === root);
  const all = await server.client.list('/api/v1/configmaps?fieldSelector=metadata.name%3Distio-ca-root-cert');
  expect(all.map(({ metadata }) => metadata.namespace).sort()).toEqual(['default', systemNamespace, 'shop']);
});

test('rights beyond what it does are not granted', async () => {
  const token = await server.client.createToken({
    namespace: systemNamespace,
    serviceAccount: 'istiod',
    audiences: ['https://kubernetes.default.svc.cluster.local'],
  });
  using client = server.client.as(token);
  const refused = [
    ['DELETE', '/api/v1/namespaces/default/configmaps/istio-ca-root-cert'],
    ['GET', '/api/v1/namespaces/default/secrets/other'],
    ['POST', '/api/v1/namespaces/default/pods'],
    ['DELETE', '/api/v1/namespaces/default/services/kubernetes'],
    ['POST', '/apis/networking.istio.io/v1/namespaces/default/gateways'],
  ] as const;
  for (const [method, path] of refused) {
    const answer = await client.request(method, path, method === 'POST' ? {} : undefined);
    expect([path, answer.status]).toEqual([path, 403]);
  }
  // And it wanted none. (An API server that is starting refuses everything for a moment, so that later this may occur.)
  expect(first.child.output()).not.toMatch(/forbidden/i);
});

test('kinds that appear later are followed, and bad objects of an old definition hurt nothing', async () => {
  const loose = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'virtualservices.networking.istio.io' },
    spec: {
      group: 'networking.istio.io',
      names: { kind: 'VirtualService', plural: 'virtualservices', singular: 'virtualservice' },
      scope: 'Namespaced',
      versions: [
        {
          name: 'v1beta1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  };
  await server.client.apply(loose);
  const virtualService = (name: string, spec: object): KubeObject => ({
    apiVersion: 'networking.istio.io/v1beta1',
    kind: 'VirtualService',
    metadata: { name, namespace: 'default' },
    spec,
  });
  const good = { hosts: ['a'], http: [{ route: [{ destination: { host: 'a' } }] }] };
  await server.client.apply(service('a'));
  await server.client.apply(virtualService('good', good));
  await server.client.apply(virtualService('bad', { hosts: 7, http: 'no' }));
  const names = async () => {
    const objects = JSON.parse(await first.get('/debug/configz')) as readonly KubeObject[];
    return objects.filter(({ kind }) => kind === 'VirtualService').map(({ metadata }) => metadata.name);
  };
  await waitFor('the good one', async () => (await names()).includes('good'));
  const findings = await waitFor('the finding', async () => {
    const { findings } = await statusOf(first);
    return findings.some(({ object }) => object?.name === 'bad') ? findings : undefined;
  });
  expect(findings.every(({ object }) => object?.name !== 'good')).toBe(true);
  await waitFor('the log', () => first.child.output().includes('bad'));
  expect(await names()).toEqual(['good']);

  // What becomes bad keeps its last good version.
  await server.client.merge(virtualService('good', {}), { spec: { hosts: null, http: null } });
  await waitFor('its finding', async () =>
    (await statusOf(first)).findings.some(({ code }) => code === 'kept-last-good'),
  );
  expect(await names()).toEqual(['good']);
  await server.client.delete(virtualService('bad', {}));
  await server.client.apply(virtualService('good', good));
  await waitFor('findings to go', async () => (await statusOf(first)).findings.length === 0);
});

test('large and odd objects are taken, and what is of no use is told', async () => {
  const ports = Array.from({ length: 1000 }, (_, i) => 1000 + i);
  await server.client.apply(service('many-ports', ports));
  // As much as a Secret may hold.
  const noKey = 'not a key '.repeat(104_800);
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  await server.client.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'large', namespace: 'default' },
    type: 'kubernetes.io/tls',
    data: { 'tls.crt': base64('no certificate'), 'tls.key': base64(noKey) },
  });
  await server.client.create({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'odd', namespace: 'default', labels: { 'kubernetes.io/service-name': 'many-ports' } },
    addressType: 'FQDN',
    endpoints: [{ addresses: ['not-an-address.example.com'] }, { addresses: ['x.y'], conditions: { ready: true } }],
    ports: [{ name: 'http-1000', port: 1000 }],
  });
  await waitFor('the service', async () => (await hosts(first)).includes('many-ports.default.svc.cluster.local'));
  const findings = await waitFor('the findings', async () => {
    const { findings } = await statusOf(first);
    return findings.length >= 2 ? findings : undefined;
  });
  expect(findings.map(({ object, code, message }) => `${object?.name} ${code}: ${message}`).sort()).toEqual([
    'large invalid-secret: there is no certificate (no PEM block)',
    'odd invalid-value: slices of names are not read: its endpoints are left out',
  ]);
  await waitFor('the log', () => ['default/large', 'default/odd'].every((name) => first.child.output().includes(name)));
  for (const text of [JSON.stringify(findings), first.child.output()]) {
    expect(text).not.toContain(noKey.slice(0, 20));
    expect(text).not.toContain(base64(noKey).slice(0, 20));
  }
  expect((await fetch(`http://127.0.0.1:${first.ports.http}/ready`)).status).toBe(200);
  expect((await versionsOf(first, 'cluster')).size).toBeGreaterThan(999);
});

test('while the API server is away the last state is served, and its age shows', async () => {
  await server.kill();
  const lost = await waitFor('the loss to show', async () => {
    const source = (await statusOf(first)).sources['kubernetes'];
    return source?.connected === false ? source : undefined;
  });
  expect(lost.synced).toBe(true);
  expect(Date.now() - lost.since).toBeLessThan(30_000);
  expect((await fetch(`http://127.0.0.1:${first.ports.http}/ready`)).status).toBe(200);
  expect(await hosts(first)).toContain('many-ports.default.svc.cluster.local');
  const later = (await statusOf(first)).sources['kubernetes'];
  expect(later?.since).toBe(lost.since);
  await server.start();
  await server.client.apply(service('after'));
  await waitFor('the change', async () => (await hosts(first)).includes('after.default.svc.cluster.local'), {
    timeoutMs: 30_000,
  });
  await waitFor('the source to be connected', async () => (await statusOf(first)).sources['kubernetes']?.connected, {
    timeoutMs: 30_000,
  });
}, 90_000);

/** Versions by name of everything a sidecar gets of a type, over a new stream that already has `known`. */
async function versionsOf(
  plane: TestDiscovery,
  type: ResourceType,
  known: ReadonlyMap<string, string> = new Map(),
): Promise<ReadonlyMap<string, string>> {
  const connection = connect(`127.0.0.1:${plane.ports.grpc}`);
  try {
    const stream = connection.open('delta');
    stream.delta({
      node: sidecarNode(),
      typeUrl: typeUrls[type],
      resourceNamesSubscribe: ['*'],
      initialResourceVersions: Object.fromEntries(known),
    });
    const { versions } = await stream.next(({ typeUrl }) => typeUrl === typeUrls[type]);
    return versions;
  } finally {
    connection.close();
  }
}

test('two replicas give the same, a proxy moves between them with nothing sent again, and the lead is handed on', async () => {
  await installDefinitions(server);
  second = await replica(kubeconfig, 'istiod-2');
  for (const type of ['cluster', 'listener'] as const) {
    const mine = await versionsOf(first, type);
    expect(mine.size).toBeGreaterThan(1);
    expect(await versionsOf(second, type)).toEqual(mine);
    expect((await versionsOf(second, type, mine)).size).toBe(0);
  }
  const root = await rootIn('default');
  await first[Symbol.asyncDispose]();
  const holder = () => holderOf(server.client, 'istio-namespace-controller-election');
  await waitFor('the other to lead', async () => (await holder()) === 'istiod-2', { timeoutMs: 20_000 });
  await server.client.merge(rootsOf('default'), { data: { 'root-cert.pem': 'mine' } });
  await waitFor('the edit to be undone', async () => (await rootIn('default')) === root);
  expect(second.child.output()).not.toMatch(/forbidden/i);
}, 90_000);
