// How much is computed and sent for one change at 1,000 services and 20 classes of proxies: what it touches, no more.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultMeshConfig } from '../../config/mesh.ts';
import { factsInput, meshInput } from '../../discovery/model/objects.ts';
import { classOf, proxies } from '../../discovery/proxy/classify.ts';
import { translators } from '../../discovery/translate/table.ts';
import { createGraph, writeObjects } from '../../discovery/world.ts';
import { typeUrls } from '../../discovery/xds-types.ts';
import { changeOf, testFacts } from '../support/world.ts';
import { type Loopback, type LoopbackStream, loopback } from '../support/xds/loopback.ts';

type Raw = Parameters<typeof changeOf>[0] & { readonly [field: string]: unknown };

const serviceCount = 1000;
const classCount = 20;
const namespaceOf = (i: number): string => `ns-${i % classCount}`;

function service(i: number, ports: readonly Readonly<Record<string, unknown>>[], metadata = {}): Raw {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: `s${i}`, namespace: namespaceOf(i), ...metadata },
    spec: { clusterIP: `10.96.${i >> 8}.${i & 255}`, selector: { app: `s${i}` }, ports },
  };
}

function slice(i: number, addresses: readonly string[], metadata = {}): Raw {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `s${i}-x`,
      namespace: namespaceOf(i),
      labels: { 'kubernetes.io/service-name': `s${i}` },
      ...metadata,
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
  };
}

const http = { name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' };

/** What one change did. */
interface Effect {
  /** Computations by query. */
  readonly computed: ReadonlyMap<string, number>;
  /** Resources and removals by stream and type, `Cluster +1 -0`. */
  readonly sent: readonly (readonly string[])[];
  readonly bytes: number;
}

describe('work for one change', () => {
  let mesh: Loopback;
  const clients: LoopbackStream[] = [];

  beforeAll(async () => {
    const graph = createGraph();
    graph.write(meshInput, 'mesh', defaultMeshConfig);
    graph.write(factsInput, 'facts', testFacts);
    mesh = loopback({ graph, translators, classOf, proxies });
    const raws = Array.from({ length: serviceCount }, (_, i) => [
      service(i, [http]),
      slice(i, [`10.1.${i >> 8}.${i & 255}`]),
    ]).flat();
    await apply(raws);
    for (let c = 0; c < classCount; c++) clients.push(await connect(c));
  });
  afterAll(() => mesh.publisher.stop());

  function apply(raws: readonly Raw[]): Promise<void> {
    const changes = raws.map(changeOf).filter((change) => change !== undefined);
    return mesh.publisher.apply((graph) => {
      writeObjects(graph, changes);
    });
  }

  /** Subscribes like an Envoy: to all clusters and listeners, their endpoints, and the routes of port 80. */
  async function connect(c: number): Promise<LoopbackStream> {
    const client = mesh.open('delta');
    const namespace = `ns-${c}`;
    const node = {
      id: `sidecar~10.9.0.${c}~app.${namespace}~${namespace}.svc.cluster.local`,
      metadata: { NAMESPACE: namespace },
    };
    await client.delta({ node, typeUrl: typeUrls.cluster });
    const names = [...(client.received[0]?.resources.keys() ?? [])].filter((name) => name.startsWith('outbound|'));
    await client.delta({ typeUrl: typeUrls.endpoint, resourceNamesSubscribe: names });
    await client.delta({ typeUrl: typeUrls.listener });
    await client.delta({ typeUrl: typeUrls.route, resourceNamesSubscribe: ['80'] });
    await acknowledge(client);
    return client;
  }

  async function acknowledge(client: LoopbackStream): Promise<readonly string[]> {
    const log: string[] = [];
    for (let received = client.take(); received.length > 0; received = client.take()) {
      for (const { typeUrl, nonce, resources, removed } of received) {
        log.push(`${typeUrl.split('.').pop()} +${resources.size} -${removed.length}`);
        await client.delta({ typeUrl, responseNonce: nonce });
      }
    }
    return log;
  }

  async function effectOf(raw: Raw): Promise<Effect> {
    const before = mesh.publisher.graph.stats().computed;
    const bytesBefore = clients.map(({ received }) => received.length);
    await apply([raw]);
    const sent: (readonly string[])[] = [];
    for (const client of clients) sent.push(await acknowledge(client));
    // New clusters hold routes back for a moment, where a client does not ask for their endpoints.
    await new Promise((resolve) => setTimeout(resolve, 120));
    for (const [i, client] of clients.entries()) sent[i] = [...(sent[i] ?? []), ...(await acknowledge(client))];
    const after = mesh.publisher.graph.stats().computed;
    const computed = new Map<string, number>();
    for (const [name, count] of after)
      if (count !== before.get(name)) computed.set(name, count - (before.get(name) ?? 0));
    const bytes = clients.flatMap(({ received }, i) => received.slice(bytesBefore[i])).reduce((n, m) => n + m.bytes, 0);
    return { computed, sent, bytes };
  }

  const work = ({ computed }: Effect, name: string): number => computed.get(name) ?? 0;

  test('the first sync held everything', () => {
    const [client] = clients;
    const sizes = client?.received.slice(0, 4).map(({ resources }) => resources.size);
    expect(sizes?.[0]).toBeGreaterThanOrEqual(serviceCount);
    expect(sizes?.[1]).toBe(serviceCount);
    expect(sizes?.[3]).toBe(1);
    // One cluster and one assignment a service, for all classes together.
    const { computed } = mesh.publisher.graph.stats();
    expect(computed.get('outbound-cluster')).toBe(serviceCount);
    expect(computed.get('load-assignment')).toBe(serviceCount);
  });

  test('one endpoint: one assignment computed once, one small message a stream', async () => {
    const effect = await effectOf(slice(10, ['10.1.0.10', '10.77.0.1']));
    expect(work(effect, 'load-assignment')).toBe(1);
    expect(work(effect, 'outbound-cluster')).toBe(0);
    expect(work(effect, 'sidecar-route')).toBe(0);
    expect(new Set(effect.sent.map(String))).toEqual(new Set(['ClusterLoadAssignment +1 -0']));
    expect(effect.bytes).toBeLessThan(classCount * 1000);
  });

  test('one target port: nothing that clients see of it but its endpoints', async () => {
    const effect = await effectOf(service(11, [{ ...http, targetPort: 8081 }]));
    expect(work(effect, 'outbound-cluster')).toBeLessThanOrEqual(1);
    expect(work(effect, 'load-assignment')).toBeLessThanOrEqual(1);
    expect(effect.bytes).toBeLessThan(classCount * 1000);
  });

  test('one more port of one service: its cluster, for all classes once', async () => {
    const effect = await effectOf(service(12, [http, { name: 'tcp', port: 9000, targetPort: 9000, protocol: 'TCP' }]));
    expect(work(effect, 'outbound-cluster')).toBeLessThanOrEqual(2);
    expect(work(effect, 'load-assignment')).toBeLessThanOrEqual(2);
    for (const sent of effect.sent) expect(sent).toContain('Cluster +1 -0');
    expect(effect.bytes).toBeLessThan(classCount * 10_000);
  });

  test('one VirtualService: the route configurations that hold its host, no clusters, no endpoints', async () => {
    const effect = await effectOf({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'v', namespace: namespaceOf(13) },
      spec: { hosts: ['s13'], http: [{ timeout: '3s', route: [{ destination: { host: 's13' } }] }] },
    });
    expect(work(effect, 'outbound-cluster')).toBe(0);
    expect(work(effect, 'load-assignment')).toBe(0);
    expect(work(effect, 'virtual-host')).toBeLessThanOrEqual(2);
    expect(new Set(effect.sent.map(String))).toEqual(new Set(['RouteConfiguration +1 -0']));
  });

  test.each<[string, Raw]>([
    ['resourceVersion', service(14, [http], { resourceVersion: '8' })],
    ['a label of a Service', service(14, [http], { labels: { note: 'x' } })],
    ['an annotation of an EndpointSlice', slice(14, ['10.1.0.14'], { annotations: { time: 'now' } })],
    [
      "a Node's heartbeat",
      {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: 'node-1' },
        status: { conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: '2026-01-01T00:00:00Z' }] },
      },
    ],
  ])('a change without meaning sends nothing: %s', async (_what, raw) => {
    const effect = await effectOf(raw);
    expect(effect.sent.flat()).toEqual([]);
    expect(effect.bytes).toBe(0);
    expect(work(effect, 'load-assignment')).toBe(0);
    expect(work(effect, 'sidecar-route')).toBe(0);
  });
});
