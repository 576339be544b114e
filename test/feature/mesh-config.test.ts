// Mesh configuration of a control plane on a real API server: ConfigMaps and mounted files, changed while it runs, also for the bad.
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rbacManifest } from '../../cmd/manifest.ts';
import { base64, injectorConfiguration } from '../../webhook/registration.ts';
import { startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { leastPrivilege, systemNamespace } from '../support/kubernetes-plane.ts';
import { freePort } from '../support/ports.ts';
import { waitFor } from '../support/wait.ts';
import { selfSigned } from '../support/webhook.ts';

let server: TestApiServer;
let kubeconfig: string;
let folder: string;

beforeAll(async () => {
  server = await startApiServer();
  kubeconfig = await leastPrivilege(server);
  folder = await mkdtemp(join(tmpdir(), 'mesh-config-'));
}, 300_000);
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

const configMap = (name: string, data: object): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: systemNamespace },
  data,
});
const meshConfigMap = (name: string, mesh: string): KubeObject => configMap(name, { mesh });
const namespace = (name: string, labels: object): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels },
});

type Mesh = Readonly<Record<string, unknown>>;
const meshOf = async (plane: TestDiscovery) => JSON.parse(await plane.get('/debug/mesh')) as Mesh;
const findingsOf = async (plane: TestDiscovery) =>
  (
    JSON.parse(await plane.get('/debug/status')) as {
      findings: readonly {
        code: string;
        message: string;
        object?: object;
        position?: { file: string; line: number };
      }[];
    }
  ).findings;

async function untilMesh(plane: TestDiscovery, wanted: Mesh): Promise<void> {
  await expect.poll(() => meshOf(plane), { timeout: 15_000 }).toMatchObject(wanted);
}

test('the ConfigMap counts over the shared one, at once; a broken one leaves the last good one and a finding', async () => {
  await server.client.apply(meshConfigMap('shared', 'accessLogFile: /shared\nconnectTimeout: 7s'));
  await server.client.apply(meshConfigMap('istio', 'accessLogFile: /own'));
  await using plane = await startDiscovery({ kubeconfig, environment: { SHARED_MESH_CONFIG: 'shared' } });
  await untilMesh(plane, { accessLogFile: '/own', connectTimeout: '7s' });
  await server.client.apply(meshConfigMap('istio', 'dnsRefreshRate: 9s'));
  await untilMesh(plane, { accessLogFile: '/shared', dnsRefreshRate: '9s' });
  expect(await findingsOf(plane)).toEqual([]);

  for (const name of ['istio', 'shared']) {
    await server.client.apply(meshConfigMap(name, 'accessLogFile: [1'));
    const findings = await waitFor('the finding', async () => {
      const all = await findingsOf(plane);
      return all.some(({ code }) => code === 'kept-last-good') ? all : undefined;
    });
    expect(findings.map(({ code }) => code).sort()).toEqual(['kept-last-good', 'yaml-syntax']);
    expect(findings).toContainEqual(
      expect.objectContaining({ object: { kind: 'ConfigMap', namespace: systemNamespace, name }, path: 'data.mesh' }),
    );
    await untilMesh(plane, { accessLogFile: '/shared', dnsRefreshRate: '9s', connectTimeout: '7s' });
    await server.client.apply(
      meshConfigMap(name, name === 'istio' ? 'dnsRefreshRate: 9s' : 'accessLogFile: /shared\nconnectTimeout: 7s'),
    );
    await expect.poll(() => findingsOf(plane), { timeout: 15_000 }).toEqual([]);
  }
  await server.client.delete(meshConfigMap('istio', ''));
  await untilMesh(plane, { accessLogFile: '/shared', dnsRefreshRate: '60s' });
}, 90_000);

test('a revision has a ConfigMap of its own', async () => {
  await server.client.apply(meshConfigMap('istio', 'accessLogFile: /default'));
  await server.client.apply(meshConfigMap('istio-canary', 'accessLogFile: /canary'));
  await using plane = await startDiscovery({ kubeconfig, environment: { REVISION: 'canary' } });
  await untilMesh(plane, { accessLogFile: '/canary' });
}, 60_000);

/** Puts a file where a kubelet would, and swaps it in as it does. */
async function mount(version: string, mesh: string): Promise<void> {
  await mkdir(join(folder, version));
  await writeFile(join(folder, version, 'mesh'), mesh);
  await symlink(version, join(folder, '..next'));
  await rename(join(folder, '..next'), join(folder, '..data'));
  await symlink(join('..data', 'mesh'), join(folder, 'mesh')).catch(() => undefined);
}

test('a mounted file takes the ConfigMap’s place, and is followed', async () => {
  await server.client.apply(meshConfigMap('istio', 'accessLogFile: [1'));
  await mount('..1', 'accessLogFile: /one\n');
  const file = join(folder, 'mesh');
  await using plane = await startDiscovery({ kubeconfig, flags: ['--meshConfig', file] });
  await untilMesh(plane, { accessLogFile: '/one' });
  await mount('..2', 'accessLogFile: /two\ntrustDomain: two.example\n');
  await untilMesh(plane, { accessLogFile: '/two', trustDomain: 'two.example' });
  // What the ConfigMap says, or how badly, is of no interest.
  await server.client.apply(meshConfigMap('istio', 'accessLogFile: /config-map'));
  expect(await findingsOf(plane)).toEqual([]);
  await mount('..3', 'accessLogFile: /three\nproxyListenPort: x\n');
  const findings = await waitFor('the finding', async () => {
    const all = await findingsOf(plane);
    return all.length > 0 ? all : undefined;
  });
  expect(findings[0]).toMatchObject({ code: 'wrong-type', position: { file, line: 2 } });
  expect(plane.child.output()).toContain(`${file}:2:1: error[wrong-type] proxyListenPort`);
  await untilMesh(plane, { accessLogFile: '/two', trustDomain: 'two.example' });
}, 60_000);

test('roots have the name that is asked for, and stay where a namespace is no longer discovered', async () => {
  await server.client.applyYaml(rbacManifest({ namespace: systemNamespace, revision: '', rootConfigMap: 'mesh-root' }));
  await server.client.apply(namespace('seen', { mesh: 'on' }));
  const selectors = 'discoverySelectors: [{ matchLabels: { mesh: "on" } }]';
  await server.client.apply(meshConfigMap('istio', selectors));
  await using plane = await startDiscovery({ kubeconfig, environment: { PILOT_CA_CERT_CONFIGMAP: 'mesh-root' } });
  const places = async () => {
    const all = await server.client.list('/api/v1/configmaps?fieldSelector=metadata.name%3Dmesh-root');
    return all.map(({ metadata }) => metadata.namespace).sort();
  };
  await expect.poll(places, { timeout: 15_000 }).toEqual(['seen']);
  await server.client.apply(namespace('later', { mesh: 'on' }));
  await expect.poll(places, { timeout: 15_000 }).toEqual(['later', 'seen']);
  await server.client.merge(namespace('later', {}), { metadata: { labels: { mesh: 'off' } } });
  await server.client.apply(namespace('last', { mesh: 'on' }));
  await expect.poll(places, { timeout: 15_000 }).toEqual(['last', 'later', 'seen']);
  expect(plane.child.output()).not.toMatch(/forbidden/i);
  await server.client.applyYaml(rbacManifest({ namespace: systemNamespace, revision: '' }));
}, 60_000);

/** Ends TLS in front of a plain port, as a gateway does. */
async function endTls(pair: { cert: string; key: string }, port: number, target: number): Promise<Server> {
  const front = createServer(pair, (incoming, answer) => {
    const { url, method, headers } = incoming;
    const onward = request({ host: '127.0.0.1', port: target, path: url, method, headers }, (back) => {
      answer.writeHead(back.statusCode ?? 502, back.headers);
      back.pipe(answer);
    });
    onward.on('error', () => answer.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => front.listen(port, '127.0.0.1', resolve));
  return front;
}

test('webhooks on the plain port inject for an API server behind something that ends TLS, and its certificate is left alone', async () => {
  await server.client.apply(namespace('shop', { 'istio-injection': 'enabled' }));
  await server.client.apply(meshConfigMap('istio', 'defaultConfig: { discoveryAddress: "mesh.example.com:15012" }'));
  const values = JSON.stringify({ global: { hub: 'hub.example.com', tag: '1' } });
  await server.client.apply(configMap('istio-sidecar-injector', { config: 'policy: enabled', values }));
  await using plane = await startDiscovery({
    kubeconfig,
    flags: ['--httpsAddr', '', '--grpcAddr', ''],
    environment: { INJECTION_WEBHOOK_CONFIG_NAME: '', VALIDATION_WEBHOOK_CONFIG_NAME: '' },
  });
  const pair = selfSigned('127.0.0.1');
  const port = await freePort();
  const front = await endTls(pair, port, plane.ports.http);
  try {
    const target = { url: `https://127.0.0.1:${port}` };
    const configuration = injectorConfiguration({ target, namespace: systemNamespace, revision: '' });
    const webhooks = configuration.webhooks?.map((webhook) => ({
      ...webhook,
      clientConfig: { ...webhook.clientConfig, caBundle: base64(pair.cert) },
    }));
    await server.client.create({ ...configuration, webhooks } as unknown as KubeObject);
    const pod = (name: string): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'shop' },
      spec: { serviceAccountName: 'default', containers: [{ name: 'web', image: 'x:1' }] },
    });
    let count = 0;
    const injected = await waitFor('an injected pod', async () => {
      const text = JSON.stringify(await server.client.create(pod(`web-${count++}`)));
      return text.includes('hub.example.com/proxyv2:1') ? text : undefined;
    });
    expect(injected).toContain('mesh.example.com:15012');
    const found = await server.client.get(configuration as unknown as KubeObject);
    expect(JSON.stringify(found)).toContain(base64(pair.cert));
  } finally {
    front.close();
    front.closeAllConnections();
  }
}, 60_000);
