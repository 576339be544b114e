// Injected pods at work: in network namespaces, by the commands, variables, files and rules that injection gave them.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { ensureEnvoy } from '../../cmd/envoy-install.ts';
import { injectPod } from '../../webhook/inject.ts';
import { type Container, containerOf, type Pod as InjectedPod, initName, proxyName } from '../../webhook/pod.ts';
import { startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { mountFiles } from '../support/injected-files.ts';
import { type Pod, PodNetwork } from '../support/netns.ts';
import { freePort } from '../support/ports.ts';
import { waitFor } from '../support/wait.ts';
import { emptyCluster, testSettings } from '../support/webhook.ts';

const root = join(import.meta.dirname, '..', '..');
const run = promisify(execFile);
const clusterIp = '10.96.0.10';
const host = 'db.shop.svc.cluster.local';

let network: PodNetwork;
let discovery: TestDiscovery;
let folder: string;
let web: Pod;
let db: Pod;

/** A workload as its author wrote it, after the webhook. */
function injected(name: string, discoveryAddress: string): InjectedPod {
  const pod: InjectedPod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${name}-0`,
      namespace: 'shop',
      labels: { app: name },
      annotations: { 'meltemi.io/proxy': 'envoy', 'proxy.istio.io/config': `discoveryAddress: ${discoveryAddress}` },
    },
    spec: {
      serviceAccountName: name,
      nodeName: 'n1',
      containers: [
        {
          name: 'app',
          image: 'echo',
          ports: [{ name: 'http', containerPort: 8080 }],
          readinessProbe: { httpGet: { path: '/ready', port: 'http' } },
        },
      ],
    },
  };
  const workload = { apiVersion: 'v1', kind: 'Pod', name, namespace: 'shop' };
  const result = injectPod({ pod, workload, namespace: 'shop', proxyEnv: {} }, testSettings(), emptyCluster);
  if (result.kind === 'refused') throw new Error(result.problems.join('; '));
  return result.pod;
}

function containerNamed(name: string, pod: InjectedPod): Container {
  const container = containerOf(name, [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])]);
  if (container === undefined) throw new Error(`no container ${name}`);
  return container;
}

/** Starts what the kubelet would: the init container's rules and the proxy with its variables and mounted files. */
async function startProxy(pod: Pod, object: InjectedPod): Promise<void> {
  const name = object.spec?.serviceAccountName ?? '';
  const meltemi = [join(root, 'cmd/main.ts'), 'token', '-n', 'shop', '-s', name, '--ca-dir', join(folder, 'state/ca')];
  const { stdout } = await run(process.execPath, meltemi);
  const roots = await readFile(join(folder, 'state/root-cert.pem'), 'utf8');
  const values: Readonly<Record<string, string>> = {
    POD_NAME: object.metadata?.name ?? '',
    POD_NAMESPACE: 'shop',
    INSTANCE_IP: pod.address,
    INSTANCE_IPS: pod.address,
    SERVICE_ACCOUNT: name,
    NODE_NAME: 'n1',
    CPU_LIMIT: '1',
  };
  const proxy = containerNamed(proxyName, object);
  const moved = await mountFiles(object, proxy, join(folder, name), {
    configMaps: { 'istio-ca-root-cert': { 'root-cert.pem': roots } },
    token: stdout.trim(),
  });
  const args = (proxy.args ?? []).map((arg) =>
    moved(arg).replace(/\$\$|\$\(([A-Z_]+)\)/g, (match, key: string | undefined) =>
      key === undefined ? '$' : (values[key] ?? match),
    ),
  );
  expect(proxy['command']).toEqual(['envoy']);
  await pod.capture(containerNamed(initName, object).args ?? []);
  pod.start({ name: `envoy of ${name}`, command: await ensureEnvoy(), args, proxy: true });
}

/** The folder that stands for the cluster. */
function manifests(pods: readonly (readonly [Pod, InjectedPod])[]): string {
  const meta = (name: string, namespace = 'shop') => ({ name, namespace });
  const objects: object[] = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
    {
      apiVersion: 'security.istio.io/v1',
      kind: 'PeerAuthentication',
      metadata: meta('default', 'istio-system'),
      spec: { mtls: { mode: 'STRICT' } },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: meta('db'),
      spec: { clusterIP: clusterIp, selector: { app: 'db' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...meta('db-1'), labels: { 'kubernetes.io/service-name': 'db' } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080 }],
      endpoints: [
        {
          addresses: [db.address],
          conditions: { ready: true },
          targetRef: { kind: 'Pod', namespace: 'shop', name: 'db-0' },
        },
      ],
    },
    ...pods.map(([{ address }, object]) => ({
      ...object,
      status: {
        phase: 'Running',
        podIP: address,
        podIPs: [{ ip: address }],
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    })),
  ];
  return objects.map((object) => stringify(object, { aliasDuplicateObjects: false })).join('---\n');
}

beforeAll(async () => {
  network = await PodNetwork.create();
  folder = await mkdtemp(join(tmpdir(), 'injected-'));
  await mkdir(join(folder, 'config'));
  web = await network.addPod('web');
  db = await network.addPod('db');
  await network.setHosts({ 'istiod.istio-system.svc': network.gateway, [host]: clusterIp });
  // Names come from the hosts file alone; a DNS server that does not answer would cost each look-up seconds.
  for (const { namespace } of [web, db]) {
    await writeFile(`/etc/netns/${namespace}/resolv.conf`, 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n');
  }
  const ports = { grpc: 0, secureGrpc: 0, http: 0, https: 0, monitoring: 0 };
  for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort(network.gateway);
  const address = `istiod.istio-system.svc:${ports.secureGrpc}`;
  const objects = [
    [web, injected('web', address)],
    [db, injected('db', address)],
  ] as const;
  await writeFile(join(folder, 'config/mesh.yaml'), manifests(objects));
  const state = ['--stateDir', join(folder, 'state')];
  discovery = await startDiscovery({
    configFolder: join(folder, 'config'),
    address: network.gateway,
    ports,
    flags: state,
  });
  const echo = [join(root, 'test/support/echo-server.ts'), '--name', 'db'];
  db.start({ name: 'echo', command: process.execPath, args: echo });
  for (const [pod, object] of objects) await startProxy(pod, object);
}, 120_000);

afterAll(async () => {
  await discovery?.[Symbol.asyncDispose]();
  await network?.close();
  await rm(folder, { recursive: true, force: true });
});

test('a request is captured, sent by mutual TLS, and captured again', async () => {
  const answered = async () => (await web.fetch(`http://${host}/`)).status === 200;
  await waitFor('the first answer', answered, {
    timeoutMs: 30_000,
    detail: () => discovery.child.output().slice(-4000),
  });
  const { headers } = JSON.parse((await web.fetch(`http://${host}/`)).body);
  const certificate = String(headers['x-forwarded-client-cert']);
  expect(certificate).toContain('By=spiffe://cluster.local/ns/shop/sa/db');
  expect(certificate).toContain('URI=spiffe://cluster.local/ns/shop/sa/web');
});

test('the kubelet reaches the application through the proxy only', async () => {
  const direct = await fetch(`http://${db.address}:8080/ready`).then(
    (answer) => answer.status,
    () => 'refused',
  );
  expect(direct).toBe('refused');
  expect((await fetch(`http://${db.address}:15020/app-health/app/readyz`)).status).toBe(200);
  expect((await fetch(`http://${db.address}:15021/healthz/ready`)).status).toBe(200);
  expect((await fetch(`http://${db.address}:15090/stats/prometheus`)).status).toBe(200);
});
