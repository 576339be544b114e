// Sidecars with real capture: application → Envoy → Envoy → application in network namespaces, by a folder of YAML.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { buildBootstrap } from '../../config/bootstrap.ts';
import { runOrThrow } from '../support/child.ts';
import { startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { startEnvoy, type TestEnvoy } from '../support/envoy.ts';
import { type Pod, PodNetwork } from '../support/netns.ts';
import { waitFor } from '../support/wait.ts';

const root = join(import.meta.dirname, '..', '..');
const names = ['client', 'server', 'outside'] as const;
type Name = (typeof names)[number];
const clusterIps = { web: '10.96.0.10', line: '10.96.0.11' } as const;
const host = 'web.shop.svc.cluster.local';

let network: PodNetwork;
let folder: string;
let discovery: TestDiscovery;
const pods = new Map<Name, Pod>();
const envoys = new Map<Name, TestEnvoy>();

function podOf(name: Name): Pod {
  const pod = pods.get(name);
  if (pod === undefined) throw new Error(`no pod ${name}`);
  return pod;
}

function envoyOf(name: Name): TestEnvoy {
  const envoy = envoys.get(name);
  if (envoy === undefined) throw new Error(`no sidecar of ${name}`);
  return envoy;
}

const yaml = (objects: readonly object[]): string =>
  objects.map((object) => stringify(object, { aliasDuplicateObjects: false })).join('---\n');

function podObject(name: Name): object {
  const ip = podOf(name).address;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `${name}-0`, namespace: 'shop', labels: { app: name, 'security.istio.io/tlsMode': 'istio' } },
    spec: { serviceAccountName: name, containers: [{ name: 'app' }] },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

/** A Service and its endpoint, the pod of the server. */
function serviceObjects(name: 'web' | 'line', port: number, targetPort: number, portName: string): readonly object[] {
  const targetRef = { kind: 'Pod', namespace: 'shop', name: 'server-0' };
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: 'shop' },
      spec: { clusterIP: clusterIps[name], selector: { app: 'server' }, ports: [{ name: portName, port, targetPort }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${name}-1`, namespace: 'shop', labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [{ name: portName, port: targetPort }],
      endpoints: [{ addresses: [podOf('server').address], conditions: { ready: true }, targetRef }],
    },
  ];
}

const strict = {
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: { name: 'default', namespace: 'istio-system' },
  spec: { mtls: { mode: 'STRICT' } },
};

const virtualService = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'web', namespace: 'shop' },
  spec: {
    hosts: ['web'],
    http: [
      { match: [{ uri: { prefix: '/teapot' } }], directResponse: { status: 418 } },
      { headers: { request: { set: { 'x-route': 'web' } } }, route: [{ destination: { host: 'web' } }] },
    ],
  },
};

/** Answers each line with itself, reversed. */
const lineServer = `
require('node:net').createServer((socket) => {
  socket.on('error', () => {});
  socket.on('data', (data) => socket.write([...data.toString().trim()].reverse().join('') + '\\n'));
}).listen(9000, () => console.log('listens'));
`;

const lineClient = `
const [host, port] = process.argv.slice(1);
const socket = require('node:net').connect(Number(port), host, () => socket.write('drawer\\n'));
socket.setTimeout(10000, () => socket.destroy(new Error('timeout')));
socket.on('data', (data) => { process.stdout.write(data); socket.end(); });
socket.on('error', (error) => process.stdout.write(error.code ?? error.message));
`;

async function talk(pod: Pod, address: string): Promise<string> {
  return (await pod.run(process.execPath, ['-e', lineClient, address, '9000'])).stdout.trim();
}

async function startApplications(): Promise<void> {
  for (const name of ['server', 'outside'] as const) {
    const args = [join(root, 'test/support/echo-server.ts'), '--name', name];
    podOf(name).start({ name: `echo ${name}`, command: process.execPath, args });
  }
  podOf('server').start({ name: 'line', command: process.execPath, args: ['-e', lineServer] });
}

async function startSidecar(name: Name): Promise<void> {
  const pod = podOf(name);
  const tokenFile = join(folder, `token-${name}`);
  const of = ['-n', 'shop', '-s', name, '--ca-dir', join(folder, 'state/ca'), '-o', tokenFile];
  await runOrThrow(process.execPath, [join(root, 'cmd/main.ts'), 'token', ...of]);
  const bootstrap = buildBootstrap({
    nodeType: 'sidecar',
    address: pod.address,
    podName: `${name}-0`,
    namespace: 'shop',
    serviceAccount: name,
    labels: { app: name },
    workloadName: name,
    discovery: {
      address: `${network.gateway}:${discovery.ports.secureGrpc}`,
      tls: { caFile: join(folder, 'state/root-cert.pem'), tokenFile, serverName: 'istiod.istio-system.svc' },
    },
    admin: { address: '127.0.0.1', port: 15_000 },
  });
  await pod.capture();
  const envoy = await startEnvoy({ bootstrap, name: `sidecar of ${name}`, prefix: pod.asProxy });
  envoys.set(name, envoy);
  await envoy.ready();
}

beforeAll(async () => {
  network = await PodNetwork.create();
  folder = await mkdtemp(join(tmpdir(), 'capture-'));
  for (const name of names) pods.set(name, await network.addPod(name));
  await network.setHosts({ [host]: clusterIps.web, 'line.shop.svc.cluster.local': clusterIps.line });
  await mkdir(join(folder, 'config'));
  const objects = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
    strict,
    ...serviceObjects('web', 80, 8080, 'http'),
    ...serviceObjects('line', 9000, 9000, 'tcp'),
    podObject('client'),
    podObject('server'),
  ];
  await writeFile(join(folder, 'config/mesh.yaml'), yaml(objects));
  await writeFile(join(folder, 'config/routes.yaml'), yaml([virtualService]));
  discovery = await startDiscovery({
    configFolder: join(folder, 'config'),
    address: network.gateway,
    flags: ['--stateDir', join(folder, 'state')],
  });
  await startApplications();
  await startSidecar('server');
  await startSidecar('client');
  const answered = async () => (await podOf('client').fetch(`http://${host}/`)).status === 200;
  await waitFor('the first answer', answered, { detail: () => discovery.child.output().slice(-4000) });
}, 120_000);

afterAll(async () => {
  await Promise.all([...envoys.values()].map((envoy) => envoy.stop()));
  await discovery?.[Symbol.asyncDispose]();
  await network?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

test.each([
  ['its name', `http://${host}/hello`],
  ['its ClusterIP', `http://${clusterIps.web}/hello`],
])('HTTP by %s goes through both sidecars, routed and by mutual TLS', async (_what, url) => {
  const answer = await podOf('client').fetch(url);
  expect(answer.status).toBe(200);
  const { name, path, headers } = JSON.parse(answer.body);
  expect({ name, path, route: headers['x-route'] }).toEqual({ name: 'server', path: '/hello', route: 'web' });
  expect(headers['x-forwarded-client-cert']).toContain('By=spiffe://cluster.local/ns/shop/sa/server');
  expect(headers['x-forwarded-client-cert']).toContain('URI=spiffe://cluster.local/ns/shop/sa/client');
});

test('a pod that insists on mutual TLS is not reached by its own address, which is passed through as it is', async () => {
  const before = await envoyOf('server').stats('^cluster\\.inbound.*upstream_rq_total$');
  const answer = await podOf('client').fetch(`http://${podOf('server').address}:8080/`);
  expect(answer.status).not.toBe(200);
  expect(await envoyOf('server').stats('^cluster\\.inbound.*upstream_rq_total$')).toEqual(before);
});

test('TCP by name and by ClusterIP goes through both sidecars', async () => {
  const client = podOf('client');
  expect(await talk(client, 'line.shop.svc.cluster.local')).toBe('reward');
  expect(await talk(client, clusterIps.line)).toBe('reward');
  const outbound = await envoyOf('client').stats('^cluster\\.outbound.9000.*upstream_cx_total$');
  expect([...outbound.values()]).toEqual([2]);
  const handshakes = await envoyOf('client').stats('^cluster\\.outbound.9000.*ssl\\.handshake$');
  expect([...handshakes.values()]).toEqual([2]);
});

test('who has no sidecar is refused by servers that insist on mutual TLS', async () => {
  const outside = podOf('outside');
  const server = podOf('server').address;
  expect((await outside.fetch(`http://${server}:8080/`)).status).toBe(0);
  expect(await talk(outside, server)).not.toBe('reward');
});

test('an address that the mesh does not know is passed through', async () => {
  const counted = async () =>
    (await envoyOf('client').stats('^cluster\\.PassthroughCluster;\\.upstream_cx_total$')).values();
  const [before = 0] = await counted();
  const answer = await podOf('client').fetch(`http://${podOf('outside').address}:8080/far`);
  const { name, path, headers } = JSON.parse(answer.body);
  expect({ name, path, certificate: headers['x-forwarded-client-cert'] }).toEqual({ name: 'outside', path: '/far' });
  const [after = 0] = await counted();
  expect(after).toBe(before + 1);
});

test('an edit of the folder changes captured traffic at once', async () => {
  const { status } = await podOf('client').fetch(`http://${clusterIps.web}/teapot`);
  expect(status).toBe(418);
  const file = join(folder, 'config/routes.yaml');
  const spec = { ...virtualService.spec, http: [{ directResponse: { status: 410 } }] };
  await writeFile(file, yaml([{ ...virtualService, spec }]));
  const gone = async () => (await podOf('client').fetch(`http://${host}/`)).status === 410;
  await waitFor('the edit to reach the sidecar', gone);
  await writeFile(file, yaml([virtualService]));
  const back = async () => (await podOf('client').fetch(`http://${host}/`)).status === 200;
  await waitFor('the former route to come back', back);
});
