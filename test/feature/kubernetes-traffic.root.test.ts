// A mesh of real parts only, API server, control plane, pods with Envoys, tokens, and what it survives without a failed request.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { crdManifest } from '../../cmd/manifest.ts';
import type { ProxyStatus } from '../../discovery/debug/sync-status.ts';
import { type DiscoveryPorts, startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import type { Json } from '../support/envoy.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { leastPrivilege, systemNamespace } from '../support/kubernetes-plane.ts';
import { PodNetwork } from '../support/netns.ts';
import { ServiceRelay } from '../support/service-relay.ts';
import { sleep, waitFor } from '../support/wait.ts';
import { createService, type LoadSummary, Workload } from '../support/workload.ts';

/** Longer than any retry, keepalive or Lease of the parts. */
const outageMs = Number(process.env['OUTAGE_SECONDS'] ?? '60') * 1000;
/** A Lease that is soon over: the take-over waits for it. */
const leaseDuration = '5s';

let network: PodNetwork;
let server: TestApiServer;
let kubeconfig: string;
/** Where proxies reach the control plane, as by the name of its Service. */
let service: ServiceRelay;
const replicas: TestDiscovery[] = [];
/** The replica that serves. */
let discovery: TestDiscovery;
let shop: Workload;
let stock: Workload[];
const url = 'http://stock.shop.svc.cluster.local/';

beforeAll(async () => {
  network = await PodNetwork.create();
  server = await startApiServer({ controllerManager: true });
  await server.client.applyYaml(crdManifest());
  kubeconfig = await leastPrivilege(server);
  service = await ServiceRelay.start(network.gateway);
  discovery = await startReplica('istiod-1');
  service.targets = [xdsAddress(discovery)];
  const options = { namespace: 'shop', discovery: service.address };
  await server.client.applyYaml(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
`);
  stock = [
    await Workload.start(network, server.client, { ...options, name: 'stock' }),
    await Workload.start(network, server.client, { ...options, name: 'stock' }),
  ];
  const clusterIp = await createService(server.client, 'shop', 'stock');
  shop = await Workload.start(network, server.client, { ...options, name: 'shop' });
  await network.setHosts({ 'stock.shop.svc.cluster.local': clusterIp });
  await waitFor('the first answer', async () => (await shop.pod.fetch(url)).status === 200, { timeoutMs: 30_000 });
}, 300_000);

afterAll(async () => {
  for (const workload of [shop, ...(stock ?? [])]) await workload?.stop();
  await service?.close();
  for (const replica of replicas) await replica[Symbol.asyncDispose]();
  await server?.stop();
  await network?.close();
});

async function startReplica(name: string, ports?: DiscoveryPorts): Promise<TestDiscovery> {
  const environment = { POD_NAME: name, LEASE_DURATION: leaseDuration, ENABLE_DEBUG_ENDPOINT_AUTH: 'false' };
  const options = { kubeconfig, address: network.gateway, environment, ...(ports && { ports }) };
  const replica = await startDiscovery(options);
  replicas.push(replica);
  return replica;
}

const xdsAddress = ({ address, ports }: TestDiscovery): string => `${address}:${ports.secureGrpc}`;

/** Sends requests while `happening` happens, and a little longer. */
async function underLoad(happening: () => Promise<void>): Promise<LoadSummary> {
  const load = await shop.load(url);
  await sleep(500);
  await happening();
  await sleep(1_000);
  return load.finish();
}

function expectNoFailure(summary: LoadSummary): void {
  expect(summary.failures).toEqual({});
  expect(summary.succeeded).toBe(summary.sent);
  expect(summary.sent).toBeGreaterThan(50);
}

/** A route that adds a header to requests; `edit` is what arrives of it. */
const route = (value: string): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'stock', namespace: 'shop' },
  spec: {
    hosts: ['stock'],
    http: [{ headers: { request: { set: { 'x-edit': value } } }, route: [{ destination: { host: 'stock' } }] }],
  },
});
const edit = async (): Promise<unknown> => JSON.parse((await shop.pod.fetch(url)).body).headers['x-edit'];

/** The endpoints of stock that shop's proxy has, as a text to look for addresses in. */
async function addresses(): Promise<string> {
  const clusters = (await shop.envoy?.clusters()) ?? [];
  return JSON.stringify(clusters.filter(({ name }) => String(name).includes('stock')));
}

/** Which replica keeps the roots in all namespaces. */
async function holder(): Promise<unknown> {
  const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
  const metadata = { name: 'istio-namespace-controller-election', namespace: systemNamespace };
  return ((await server.client.get({ ...lease, metadata }))['spec'] as { holderIdentity?: string }).holderIdentity;
}

/** How many proxies of the replica that serves have accepted all they asked for. */
async function proxiesInSync(): Promise<number> {
  const { proxies } = JSON.parse(await discovery.get('/debug/status')) as { proxies: readonly ProxyStatus[] };
  return proxies.filter(({ types }) => types.length >= 5 && types.every(({ state }) => state === 'SYNCED')).length;
}

/** More than a response without resources has, and less than one with the smallest of them. */
const emptyBytes = 128;

/** Mean bytes of the responses of each type but secrets: those are the replica's own, as it holds their keys. */
async function meanSizes(): Promise<ReadonlyMap<string, number>> {
  const metrics = await discovery.get('/metrics');
  const valuesOf = (name: string): ReadonlyMap<string, number> => {
    const lines = metrics.matchAll(new RegExp(`^${name}\\{type=".*\\.(.*)"\\} (\\d+)$`, 'gm'));
    return new Map([...lines].map(([, type, value]) => [String(type), Number(value)]));
  };
  const counts = valuesOf('pilot_xds_config_size_bytes_count');
  const sums = [...valuesOf('pilot_xds_config_size_bytes_sum')].filter(([type]) => type !== 'Secret');
  return new Map(sums.map(([type, bytes]) => [type, bytes / (counts.get(type) ?? 0)]));
}

/** Everything that a workload's Envoy has been sent but secrets, with the time at which it last took each resource. */
async function configuration({ envoy }: Workload): Promise<readonly Json[]> {
  const dump = (await envoy?.configDump()) ?? [];
  return dump.filter((part) => !/Bootstrap|Secrets/.test(String(part['@type'])));
}

test('a request by name arrives with the identities of both service accounts', async () => {
  const { headers } = JSON.parse((await shop.pod.fetch(url)).body);
  const certificate = String(headers['x-forwarded-client-cert']);
  expect(certificate).toContain('By=spiffe://cluster.local/ns/shop/sa/stock');
  expect(certificate).toContain('URI=spiffe://cluster.local/ns/shop/sa/shop');
});

test('a workload without a sidecar is refused in STRICT mode', async () => {
  const options = { name: 'stranger', namespace: 'shop', sidecar: false, discovery: '' };
  await using stranger = await Workload.start(network, server.client, options);
  const answer = await stranger.pod.fetch(`http://${stock[0]?.pod.address}:8080/`);
  expect(answer).toMatchObject({ status: 0, error: 'ECONNRESET' });
});

test('an edited route is in force without a failed request', async () => {
  const summary = await underLoad(async () => {
    for (let i = 0; i < 20; i++) {
      await server.client.apply(route(String(i)));
      await sleep(50);
    }
    await waitFor('the last edit', async () => (await edit()) === '19');
  });
  expectNoFailure(summary);
});

test(
  'the API server is away, and back',
  async () => {
    const summary = await underLoad(async () => {
      await server.kill();
      await sleep(outageMs);
      expect(discovery.child.running).toBe(true);
      await server.start();
    });
    expectNoFailure(summary);
  },
  outageMs + 60_000,
);

test('the control plane is killed and comes back', async () => {
  const { ports } = discovery;
  const summary = await underLoad(async () => {
    await discovery.child.kill();
    await sleep(1_000);
    discovery = await startReplica('istiod-1', ports);
  });
  expectNoFailure(summary);
});

test('a second replica takes over: what proxies have is not sent again, what changes arrives, and what one must write it writes', async () => {
  const second = await startReplica('istiod-2');
  service.targets = [discovery, second].map(xdsAddress);
  const workloads = [shop, ...stock];
  const before = await Promise.all(workloads.map(configuration));
  const options = { name: 'stock', namespace: 'shop', discovery: service.address };
  const summary = await underLoad(async () => {
    expect(await holder()).toBe('istiod-1');
    await discovery.child.kill();
    discovery = second;
    // Envoy's next try may be 16 s away after one that failed while no replica was there.
    const atSecond = async () => (await proxiesInSync()) === workloads.length;
    await waitFor('all proxies at the second replica', atSecond, { timeoutMs: 40_000 });
    const sizes = await meanSizes();
    expect([...sizes.keys()].sort()).toEqual(['Cluster', 'ClusterLoadAssignment', 'Listener', 'RouteConfiguration']);
    expect([...sizes].filter(([, bytes]) => bytes > emptyBytes)).toEqual([]);
    expect(await Promise.all(workloads.map(configuration))).toEqual(before);

    await server.client.apply(route('taken over'));
    await waitFor('the edit', async () => (await edit()) === 'taken over');
    const third = await Workload.start(network, server.client, options);
    stock = [...stock, third];
    await waitFor('the endpoint', async () => (await addresses()).includes(third.pod.address));

    await waitFor('the Lease to be taken over', async () => (await holder()) === 'istiod-2');
    // Its roots are in a new namespace, where only who holds the Lease puts them.
    await using caller = await Workload.start(network, server.client, { ...options, name: 'late', namespace: 'late' });
    expect(await caller.pod.fetch(url)).toMatchObject({ status: 200 });
  });
  expectNoFailure(summary);
}, 120_000);

test('after all that, a workload that goes away is not asked any more', async () => {
  const [first, ...others] = stock as [Workload, ...Workload[]];
  await server.client.delete(first.object);
  await waitFor('the endpoint to go', async () => !(await addresses()).includes(`"${first.pod.address}"`));
  for (const { pod } of others) expect(await addresses()).toContain(`"${pod.address}"`);
  const summary = await underLoad(async () => {
    await first.stop();
  });
  expectNoFailure(summary);
  stock = others;
});
