// A mesh to measure translation with: services spread over namespaces, each with two pods, and a sidecar a namespace.
import { defaultMeshConfig } from '../../config/mesh.ts';
import { factsInput, meshInput } from '../../discovery/model/objects.ts';
import { classOf, proxies } from '../../discovery/proxy/classify.ts';
import { translators } from '../../discovery/translate/table.ts';
import { createGraph, writeObjects } from '../../discovery/world.ts';
import { typeUrls } from '../../discovery/xds-types.ts';
import { changeOf, testFacts } from '../support/world.ts';
import { type Loopback, type LoopbackStream, loopback } from '../support/xds/loopback.ts';

type Raw = Parameters<typeof changeOf>[0] & { readonly [field: string]: unknown };

/** What was measured; times in milliseconds, sizes in MiB. */
export interface WorldFigures {
  readonly services: number;
  readonly classes: number;
  /** Everything translated, encoded and sent to all streams for the first time. */
  readonly cold: number;
  /** From a change until its last byte left, medians. */
  readonly endpoint: number;
  readonly port: number;
  readonly route: number;
  readonly resources: number;
  readonly sent: number;
  readonly cells: number;
  /** Heap in use with everything sent, less that before. */
  readonly heap: number;
  readonly rss: number;
}

/** Measures a mesh of `services` services seen by `classes` classes of sidecars. `rounds` changes of each kind. */
export async function measureWorld(services: number, classes: number, rounds: number): Promise<WorldFigures> {
  const heapBefore = heapNow();
  const graph = createGraph();
  graph.write(meshInput, 'mesh', defaultMeshConfig);
  graph.write(factsInput, 'facts', testFacts);
  const mesh = loopback({ graph, translators, classOf, proxies });
  const world = Array.from({ length: services }, (_, i) => objectsOf(i, classes)).flat();
  await apply(mesh, world);
  const began = performance.now();
  const clients: LoopbackStream[] = [];
  for (let c = 0; c < classes; c++) clients.push(await connect(mesh, c));
  const cold = performance.now() - began;
  let [resources, sent] = [0, 0];
  for (const client of clients) {
    const got = await acknowledge(client);
    resources += got.resources;
    sent += got.bytes;
    client.received.length = 0;
    client.take();
  }
  const heap = heapNow() - heapBefore;
  const rss = process.memoryUsage().rss / 2 ** 20;
  const median = async (change: (n: number) => Raw): Promise<number> => {
    const times: number[] = [];
    for (let n = 1; n <= rounds; n++) times.push(await timeOf(mesh, clients, change(n)));
    return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;
  };
  const endpoint = await median((n) => sliceOf(n, classes, [addressOf(n), `10.77.0.${n}`]));
  const port = await median((n) => serviceOf(n, classes, [http, { name: 'tcp', port: 9000 + n, protocol: 'TCP' }]));
  const route = await median((n) => virtualServiceOf(n, classes));
  const cells = graph.size;
  mesh.publisher.stop();
  return { services, classes, cold, endpoint, port, route, resources, sent: sent / 2 ** 20, cells, heap, rss };
}

/** With `node --expose-gc`, what is held; without, what happens to be there. */
function heapNow(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

function apply(mesh: Loopback, raws: readonly Raw[]): Promise<void> {
  const changes = raws.map(changeOf).filter((change) => change !== undefined);
  return mesh.publisher.apply((graph) => {
    writeObjects(graph, changes);
  });
}

/** A change until every stream that is owed something has it; what new clusters hold back for is not waited for. */
async function timeOf(mesh: Loopback, clients: readonly LoopbackStream[], raw: Raw): Promise<number> {
  const began = performance.now();
  await apply(mesh, [raw]);
  const took = performance.now() - began;
  for (const client of clients) await acknowledge(client);
  await new Promise((resolve) => setTimeout(resolve, 120));
  for (const client of clients) await acknowledge(client);
  return took;
}

/** Subscribes as an Envoy does: to all clusters and listeners, and to the endpoints and routes that these name. */
async function connect(mesh: Loopback, c: number): Promise<LoopbackStream> {
  const client = mesh.open('delta');
  const namespace = namespaceOf(c);
  const id = `sidecar~10.9.${c >> 8}.${c & 255}~app.${namespace}~${namespace}.svc.cluster.local`;
  const node = { id, metadata: { NAMESPACE: namespace, ISTIO_VERSION: '1.27.0' } };
  await client.delta({ node, typeUrl: typeUrls.cluster });
  const names = [...(client.received[0]?.resources.keys() ?? [])].filter((name) => name.startsWith('outbound|'));
  await client.delta({ typeUrl: typeUrls.endpoint, resourceNamesSubscribe: names });
  await client.delta({ typeUrl: typeUrls.listener });
  await client.delta({ typeUrl: typeUrls.route, resourceNamesSubscribe: ['80'] });
  return client;
}

async function acknowledge(client: LoopbackStream): Promise<{ readonly resources: number; readonly bytes: number }> {
  let [resources, bytes] = [0, 0];
  for (let received = client.take(); received.length > 0; received = client.take()) {
    for (const message of received) {
      resources += message.resources.size;
      bytes += message.bytes;
      await client.delta({ typeUrl: message.typeUrl, responseNonce: message.nonce });
    }
  }
  return { resources, bytes };
}

const http = { name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' };
const namespaceOf = (c: number): string => `ns-${c}`;
const addressOf = (i: number): string => `10.1.${i >> 8}.${i & 255}`;
const secondAddressOf = (i: number): string => `10.2.${i >> 8}.${i & 255}`;

function objectsOf(i: number, classes: number): readonly Raw[] {
  return [
    serviceOf(i, classes, [http]),
    sliceOf(i, classes, [addressOf(i), secondAddressOf(i)]),
    podOf(i, classes, 1),
    podOf(i, classes, 2),
  ];
}

function serviceOf(i: number, classes: number, ports: readonly object[]): Raw {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: `s${i}`, namespace: namespaceOf(i % classes) },
    spec: { clusterIP: `10.96.${i >> 8}.${i & 255}`, selector: { app: `s${i}` }, ports },
  };
}

function sliceOf(i: number, classes: number, addresses: readonly string[]): Raw {
  const namespace = namespaceOf(i % classes);
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `s${i}-x`, namespace, labels: { 'kubernetes.io/service-name': `s${i}` } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: addresses.map((address, n) => ({
      addresses: [address],
      conditions: { ready: true },
      targetRef: { kind: 'Pod', namespace, name: `s${i}-${n + 1}` },
    })),
  };
}

function podOf(i: number, classes: number, n: 1 | 2): Raw {
  const ip = n === 1 ? addressOf(i) : secondAddressOf(i);
  const labels = { app: `s${i}`, version: `v${n}`, 'security.istio.io/tlsMode': 'istio' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `s${i}-${n}`, namespace: namespaceOf(i % classes), labels },
    spec: { serviceAccountName: `s${i}`, containers: [{ name: 'c' }] },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

function virtualServiceOf(i: number, classes: number): Raw {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: `v${i}`, namespace: namespaceOf(i % classes) },
    spec: { hosts: [`s${i}`], http: [{ timeout: '3s', route: [{ destination: { host: `s${i}` } }] }] },
  };
}
