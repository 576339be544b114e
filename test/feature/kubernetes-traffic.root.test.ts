// A mesh of real parts only, API server, control plane, pods with Envoys, tokens, and what it survives without a failed request.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { crdManifest } from '../../cmd/manifest.ts';
import { startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import { leastPrivilege } from '../support/kubernetes-plane.ts';
import { PodNetwork } from '../support/netns.ts';
import { sleep, waitFor } from '../support/wait.ts';
import { createService, type LoadSummary, Workload } from '../support/workload.ts';

/** Longer than any retry, keepalive or lease of the parts, and short enough for a test; the minute is env. */
const outageMs = Number(process.env['OUTAGE_SECONDS'] ?? '12') * 1000;

let network: PodNetwork;
let server: TestApiServer;
let kubeconfig: string;
let discovery: TestDiscovery;
let shop: Workload;
let stock: Workload[];
const url = 'http://stock.shop.svc.cluster.local/';

beforeAll(async () => {
  network = await PodNetwork.create();
  server = await startApiServer({ controllerManager: true });
  await server.client.applyYaml(crdManifest());
  kubeconfig = await leastPrivilege(server);
  discovery = await startDiscovery({ kubeconfig, address: network.gateway });
  const options = { namespace: 'shop', discovery: `${network.gateway}:${discovery.ports.secureGrpc}` };
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
  await discovery?.[Symbol.asyncDispose]();
  await server?.stop();
  await network?.close();
});

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
  const route = (value: string) => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'stock', namespace: 'shop' },
    spec: {
      hosts: ['stock'],
      http: [{ headers: { request: { set: { 'x-edit': value } } }, route: [{ destination: { host: 'stock' } }] }],
    },
  });
  const summary = await underLoad(async () => {
    for (let i = 0; i < 20; i++) {
      await server.client.apply(route(String(i)));
      await sleep(50);
    }
    const last = async () => JSON.parse((await shop.pod.fetch(url)).body).headers['x-edit'] === '19';
    await waitFor('the last edit', last);
  });
  expectNoFailure(summary);
});

test('the API server is away, and back', async () => {
  const summary = await underLoad(async () => {
    await server.kill();
    await sleep(outageMs);
    expect(discovery.child.running).toBe(true);
    await server.start();
  });
  expectNoFailure(summary);
});

test('the control plane is killed and comes back', async () => {
  const { ports, address } = discovery;
  const summary = await underLoad(async () => {
    await discovery.child.kill();
    await sleep(1_000);
    discovery = await startDiscovery({ kubeconfig, address, ports });
  });
  expectNoFailure(summary);
});

test('after all that, a workload that goes away is not asked any more', async () => {
  const [first, second] = stock as [Workload, Workload];
  const addresses = async () =>
    JSON.stringify((await shop.envoy?.clusters())?.filter(({ name }) => String(name).includes('stock')));
  await server.client.delete(first.object);
  await waitFor('the endpoint to go', async () => !(await addresses()).includes(`"${first.pod.address}"`));
  expect(await addresses()).toContain(`"${second.pod.address}"`);
  const summary = await underLoad(async () => {
    await first.stop();
  });
  expectNoFailure(summary);
  stock = [second];
});
