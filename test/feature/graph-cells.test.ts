// What objects with ever-new names leave behind once they are gone, while proxies of every kind are connected: nothing.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultMeshConfig } from '../../config/mesh.ts';
import type { Graph } from '../../discovery/graph/graph.ts';
import { factsInput, meshInput } from '../../discovery/model/objects.ts';
import { classOf, proxies } from '../../discovery/proxy/classify.ts';
import { translators } from '../../discovery/translate/table.ts';
import { createGraph, writeObjects } from '../../discovery/world.ts';
import { typeUrls } from '../../discovery/xds-types.ts';
import type { RawObject } from '../support/random-world/slot.ts';
import { changeOf, testFacts } from '../support/world.ts';
import { type Loopback, type LoopbackStream, loopback } from '../support/xds/loopback.ts';

const rounds = 12;
const perRound = 60;
const lingerMs = 0;

let mesh: Loopback;
let graph: Graph;
const clients: LoopbackStream[] = [];

beforeAll(async () => {
  graph = createGraph();
  graph.write(meshInput, 'mesh', defaultMeshConfig);
  graph.write(factsInput, 'facts', testFacts);
  mesh = loopback({ graph, translators, classOf, proxies, lingerMs });
  await apply(objectsOf('stays', 0), true);
  for (const [i, kind] of (['sidecar', 'sidecar', 'router', 'grpc'] as const).entries()) {
    clients.push(await connect(kind, `10.9.0.${i}`));
  }
});
afterAll(() => mesh.publisher.stop());

/** A service with an endpoint, its pod, and rules about it; nothing else refers to any of it. */
function objectsOf(name: string, i: number): readonly RawObject[] {
  const namespace = i % 2 === 0 ? 'shop' : `ns-${name}`;
  const metadata = { name, namespace };
  const ip = `10.1.${(i >> 8) & 255}.${i & 255}`;
  const istio = { apiVersion: 'networking.istio.io/v1', metadata };
  return [
    {
      ...{ apiVersion: 'v1', kind: 'Service', metadata },
      spec: {
        ...{ clusterIP: `10.96.${(i >> 8) & 255}.${i & 255}`, selector: { app: name } },
        ports: [
          { name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' },
          { name: 'tcp', port: 9000 + (i % 50), protocol: 'TCP' },
        ],
      },
    },
    {
      ...{ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4' },
      metadata: { ...metadata, name: `${name}-x`, labels: { 'kubernetes.io/service-name': name } },
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints: [{ addresses: [ip], conditions: { ready: true }, targetRef: { kind: 'Pod', name, namespace } }],
    },
    {
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, labels: { app: name, version: 'v1' } } },
      spec: { nodeName: `node-${name}`, serviceAccountName: name, containers: [{ name: 'c' }] },
      status: { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions: [{ type: 'Ready', status: 'True' }] },
    },
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: `node-${name}`, labels: { 'topology.kubernetes.io/zone': name } },
    },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: `ns-${name}` } },
    {
      ...{ ...istio, kind: 'VirtualService' },
      spec: {
        hosts: [name, `${name}.example.com`],
        http: [{ timeout: '3s', route: [{ destination: { host: name } }] }],
      },
    },
    {
      ...{ ...istio, kind: 'DestinationRule' },
      spec: { host: name, subsets: [{ name: 'v1', labels: { version: 'v1' } }] },
    },
    {
      ...{ ...istio, kind: 'ServiceEntry' },
      spec: {
        ...{ hosts: [`${name}.outside.example`], resolution: 'DNS', location: 'MESH_EXTERNAL' },
        ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
      },
    },
    { ...istio, kind: 'WorkloadEntry', spec: { address: `10.8.0.${i & 255}`, labels: { app: name } } },
    {
      ...{ ...istio, kind: 'Sidecar' },
      spec: { workloadSelector: { labels: { app: name } }, egress: [{ hosts: ['./*', 'istio-system/*'] }] },
    },
    {
      ...{ ...istio, kind: 'Gateway' },
      spec: {
        selector: { istio: 'ingressgateway' },
        servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: [`${name}.example.com`] }],
      },
    },
    {
      ...{ ...istio, apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication' },
      spec: { selector: { matchLabels: { app: name } }, mtls: { mode: 'STRICT' } },
    },
  ];
}

async function apply(raws: readonly RawObject[], present: boolean): Promise<void> {
  const changes = raws.map((raw) => {
    const change = changeOf(raw);
    if (change === undefined) throw new Error(`${raw.kind} is no kind`);
    return present ? change : { ...change, object: undefined };
  });
  await mesh.publisher.apply((target) => {
    writeObjects(target, changes as Parameters<typeof writeObjects>[1]);
  });
}

async function connect(kind: 'sidecar' | 'router' | 'grpc', ip: string): Promise<LoopbackStream> {
  const client = mesh.open('delta');
  const node = {
    id: `${kind === 'router' ? 'router' : 'sidecar'}~${ip}~app-${ip}.shop~shop.svc.cluster.local`,
    metadata: {
      NAMESPACE: 'shop',
      LABELS: { istio: 'ingressgateway' },
      ...(kind === 'grpc' ? { GENERATOR: 'grpc' } : {}),
    },
  };
  if (kind === 'grpc') {
    await client.delta({
      node,
      typeUrl: typeUrls.listener,
      resourceNamesSubscribe: ['stays.shop.svc.cluster.local:80'],
    });
  } else {
    await client.delta({ node, typeUrl: typeUrls.cluster });
    await client.delta({ typeUrl: typeUrls.listener });
    await client.delta({ typeUrl: typeUrls.route, resourceNamesSubscribe: ['80', 'http.80'] });
  }
  await settle(client);
  return client;
}

/** Acknowledges what came, and asks for the endpoints of new clusters as an Envoy does. */
async function settle(client: LoopbackStream): Promise<number> {
  let received = 0;
  for (let fresh = client.take(); fresh.length > 0; fresh = client.take()) {
    for (const { typeUrl, nonce, resources, removed } of fresh) {
      received += resources.size + removed.length;
      await client.delta({ typeUrl, responseNonce: nonce });
      if (typeUrl !== typeUrls.cluster) continue;
      const names = [...resources.keys()].filter((name) => name.startsWith('outbound|'));
      await client.delta({ typeUrl: typeUrls.endpoint, resourceNamesSubscribe: names });
      await client.delta({ typeUrl: typeUrls.endpoint, resourceNamesUnsubscribe: [...removed] });
    }
  }
  return received;
}

async function settleAll(): Promise<number> {
  let received = 0;
  // New clusters hold routes back for a moment, where endpoints are late.
  for (let turn = 0; turn < 3; turn++) {
    for (const client of clients) received += await settle(client);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  return received;
}

function cellsOf(): ReadonlyMap<string, number> {
  graph.sweep();
  return new Map([...graph.stats().cells].filter(([, count]) => count > 0).sort(([a], [b]) => (a < b ? -1 : 1)));
}

test('objects that come and go under ever-new names leave no cell behind', async () => {
  await settleAll();
  const before = cellsOf();
  const size = graph.size;
  for (let round = 0; round < rounds; round++) {
    const raws = Array.from({ length: perRound }, (_, n) =>
      objectsOf(`r${round}-${n}`, 1 + round * perRound + n),
    ).flat();
    await apply(raws, true);
    expect(await settleAll()).toBeGreaterThan(perRound * clients.length);
    expect(graph.size).toBeGreaterThan(size + perRound * 10);
    // A client that is new and leaves again, while there is much.
    const guest = await connect('sidecar', `10.9.1.${round}`);
    guest.stream.close();
    await apply(raws, false);
    await settleAll();
    mesh.publisher.views.sweep(Number.POSITIVE_INFINITY);
    // The publisher sweeps by itself, though not for a few.
    await expect.poll(() => graph.unwanted).toBeLessThan(1000);
    expect(cellsOf()).toEqual(before);
    expect(graph.size).toBe(size);
  }
}, 60_000);
