// The protocol against a real Envoy, in both variants: warming, make before break, rejection, a restart of the server.
import { createServer, type Server } from 'node:http';
import { create, toBinary } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { afterEach, describe, expect, test } from 'vitest';
import { buildBootstrap } from '../../config/bootstrap.ts';
import { proxies } from '../../discovery/proxy/classify.ts';
import { noMetrics } from '../../discovery/xds/metrics.ts';
import { createXdsServer, type XdsServer } from '../../discovery/xds/server.ts';
import { Cluster_DiscoveryType, ClusterSchema } from '../../protos/gen/envoy/config/cluster/v3/cluster_pb.js';
import { ClusterLoadAssignmentSchema } from '../../protos/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { ListenerSchema } from '../../protos/gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../../protos/gen/envoy/config/route/v3/route_pb.js';
import { RouterSchema } from '../../protos/gen/envoy/extensions/filters/http/router/v3/router_pb.js';
import { HttpConnectionManagerSchema } from '../../protos/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { type Json, startEnvoy, type TestEnvoy } from '../support/envoy.ts';
import { freePort } from '../support/ports.ts';
import { sleep, waitFor } from '../support/wait.ts';
import { type FakeResources, fakeClassOf, fakeGraph, fakeTranslators, writeFake } from '../support/xds/fake-mesh.ts';

const ads = { configSourceSpecifier: { case: 'ads' as const, value: {} } };

/** An EDS cluster; another timeout makes it another cluster of the same name. */
function cluster(name: string, seconds = 1): Uint8Array {
  return toBinary(
    ClusterSchema,
    create(ClusterSchema, {
      name,
      clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.EDS },
      connectTimeout: { seconds: BigInt(seconds) },
      edsClusterConfig: { serviceName: name, edsConfig: { ...ads, initialFetchTimeout: { seconds: 0n } } },
    }),
  );
}

function address(port: number) {
  const portSpecifier = { case: 'portValue' as const, value: port };
  return { address: { case: 'socketAddress' as const, value: { address: '127.0.0.1', portSpecifier } } };
}

function assignment(name: string, port: number): Uint8Array {
  const lbEndpoints = [{ hostIdentifier: { case: 'endpoint' as const, value: { address: address(port) } } }];
  return toBinary(
    ClusterLoadAssignmentSchema,
    create(ClusterLoadAssignmentSchema, { clusterName: name, endpoints: [{ lbEndpoints }] }),
  );
}

function listener(port: number, bad = false): Uint8Array {
  const manager = create(HttpConnectionManagerSchema, {
    // Envoy's own rules demand a prefix.
    statPrefix: bad ? '' : 'in',
    routeSpecifier: { case: 'rds', value: { routeConfigName: 'main', configSource: ads } },
    httpFilters: [
      {
        name: 'envoy.filters.http.router',
        configType: { case: 'typedConfig', value: anyPack(RouterSchema, create(RouterSchema)) },
      },
    ],
  });
  const typedConfig = anyPack(HttpConnectionManagerSchema, manager);
  const filters = [{ name: 'hcm', configType: { case: 'typedConfig' as const, value: typedConfig } }];
  return toBinary(
    ListenerSchema,
    create(ListenerSchema, { name: bad ? 'broken' : 'in', address: address(port), filterChains: [{ filters }] }),
  );
}

function routes(to: string): Uint8Array {
  const action = { clusterSpecifier: { case: 'cluster' as const, value: to } };
  const match = { pathSpecifier: { case: 'prefix' as const, value: '/' } };
  return toBinary(
    RouteConfigurationSchema,
    create(RouteConfigurationSchema, {
      name: 'main',
      virtualHosts: [{ name: 'all', domains: ['*'], routes: [{ match, action: { case: 'route', value: action } }] }],
      validateClusters: false,
    }),
  );
}

interface World {
  readonly server: XdsServer;
  readonly envoy: TestEnvoy;
  /** Port of Envoy's listener. */
  readonly inPort: number;
  readonly set: (resources: FakeResources) => Promise<void>;
  /** Status and body of a request through Envoy. */
  readonly ask: () => Promise<string>;
  readonly restart: () => Promise<void>;
  readonly sentBytes: () => number;
}

const closing: (() => Promise<unknown> | undefined)[] = [];

async function app(name: string): Promise<number> {
  const server: Server = createServer((_request, response) => response.end(name));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? bound.port : 0;
}

async function start(apiType: 'DELTA_GRPC' | 'GRPC', resources: (inPort: number) => FakeResources): Promise<World> {
  const [port, inPort] = [await freePort(), await freePort()];
  let bytes = 0;
  let now = resources(inPort);
  const serve = async (): Promise<XdsServer> => {
    const server = createXdsServer({
      graph: fakeGraph(),
      translators: fakeTranslators(),
      proxies,
      classOf: fakeClassOf,
      authenticate: async () => ({ kind: 'anonymous' }),
      metrics: {
        ...noMetrics,
        sent: (_type, size) => {
          bytes += size;
        },
      },
    });
    await server.publisher.apply((graph) => writeFake(graph, 'default', {}, now));
    await server.listen({ address: `127.0.0.1:${port}` });
    return server;
  };
  let server = await serve();
  const built = buildBootstrap({
    nodeType: 'sidecar',
    address: '127.0.0.1',
    podName: 'app',
    namespace: 'default',
    serviceAccount: 'app',
    labels: {},
    discovery: { address: `127.0.0.1:${port}` },
    admin: { address: '127.0.0.1', port: 0 },
  });
  const dynamic = built['dynamic_resources'] as Json;
  const bootstrap = {
    ...built,
    dynamic_resources: { ...dynamic, ads_config: { ...(dynamic['ads_config'] as Json), api_type: apiType } },
  };
  const envoy = await startEnvoy({ bootstrap });
  closing.push(
    () => envoy.stop(),
    () => server.close(),
  );
  await envoy.ready();
  return {
    get server() {
      return server;
    },
    envoy,
    inPort,
    set: (next) => {
      const before = now;
      now = next;
      return server.publisher.apply((graph) => writeFake(graph, 'default', before, next));
    },
    ask: async () => {
      const response = await fetch(`http://127.0.0.1:${inPort}/`);
      return `${response.status} ${await response.text()}`;
    },
    restart: async () => {
      await server.close();
      bytes = 0;
      server = await serve();
    },
    sentBytes: () => bytes,
  };
}

describe.each(['DELTA_GRPC', 'GRPC'] as const)('a real Envoy over %s', (apiType) => {
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  test('moves traffic to a new cluster without losing a request, and drops the old one', async () => {
    const [one, two] = [await app('one'), await app('two')];
    const before = (inPort: number): FakeResources => ({
      cluster: { one: cluster('one') },
      endpoint: { one: assignment('one', one) },
      listener: { in: listener(inPort) },
      route: { main: routes('one') },
    });
    const world = await start(apiType, before);
    expect(await world.ask()).toBe('200 one');
    const answers = new Map<string, number>();
    let asking = true;
    const traffic = Promise.all(
      [1, 2, 3, 4].map(async () => {
        while (asking) {
          const answer = await world.ask().catch(String);
          answers.set(answer, (answers.get(answer) ?? 0) + 1);
        }
      }),
    );
    for (let i = 0; i < 10; i++) {
      const [name, port] = i % 2 === 0 ? (['two', two] as const) : (['one', one] as const);
      await world.set({
        cluster: { [name]: cluster(name, i + 2) },
        endpoint: { [name]: assignment(name, port) },
        listener: { in: listener(world.inPort) },
        route: { main: routes(name) },
      });
      await waitFor(`traffic to ${name}`, async () => (await world.ask()) === `200 ${name}`);
      await sleep(50);
    }
    asking = false;
    await traffic;
    expect([...answers.keys()].sort()).toEqual(['200 one', '200 two']);
    const names = async (): Promise<readonly unknown[]> => (await world.envoy.clusters()).map(({ name }) => name);
    await waitFor('the old cluster to go', async () => !(await names()).includes('two'));
    const stats = await world.envoy.stats('rejected|warming');
    expect([...stats].filter(([name, value]) => /update_rejected|warming/.test(name) && value > 0)).toEqual([]);
  });

  test('a changed cluster gets its endpoints again and does not warm for ever', async () => {
    const one = await app('one');
    const resources = (inPort: number, seconds: number): FakeResources => ({
      cluster: { one: cluster('one', seconds) },
      endpoint: { one: assignment('one', one) },
      listener: { in: listener(inPort) },
      route: { main: routes('one') },
    });
    const world = await start(apiType, (inPort) => resources(inPort, 1));
    for (let seconds = 2; seconds < 6; seconds++) {
      await world.set(resources(world.inPort, seconds));
      await waitFor('the cluster to be warm in its new form', async () => {
        const text = await world.envoy.admin('/config_dump?resource=dynamic_active_clusters');
        return text.includes(`"connect_timeout": "${seconds}s"`);
      });
    }
    expect(await world.ask()).toBe('200 one');
    expect((await world.envoy.stats('warming_clusters')).get('cluster_manager.warming_clusters')).toBe(0);
  });

  test('a rejected listener is traced to its resource; the others go on', async () => {
    const [one, two] = [await app('one'), await app('two')];
    const good = (inPort: number): FakeResources => ({
      cluster: { one: cluster('one') },
      endpoint: { one: assignment('one', one) },
      listener: { in: listener(inPort) },
      route: { main: routes('one') },
    });
    const world = await start(apiType, good);
    const all = good(world.inPort);
    const broken = listener(await freePort(), true);
    await world.set({ ...all, listener: { ...all.listener, broken }, endpoint: { one: assignment('one', two) } });
    const rejection = await waitFor('the rejection', () => {
      const [stream] = world.server.publisher.streams;
      return stream?.channels.get('listener')?.sub.rejection;
    });
    expect(rejection.resources.map(({ name, sources }) => [name, sources])).toEqual([
      ['broken', ['fake.body listener|broken']],
    ]);
    await waitFor('the endpoint', async () => (await world.ask()) === '200 two');
  });

  test('a restart of the server disturbs nobody, and sends hardly anything to a client of differences', async () => {
    const one = await app('one');
    const many = Array.from({ length: 200 }, (_, i) => `other-${i}`);
    const world = await start(apiType, (inPort) => ({
      cluster: Object.fromEntries(['one', ...many].map((name) => [name, cluster(name)])),
      endpoint: Object.fromEntries(['one', ...many].map((name) => [name, assignment(name, one)])),
      listener: { in: listener(inPort) },
      route: { main: routes('one') },
    }));
    const first = world.sentBytes();
    await world.restart();
    const [stream] = await waitFor('Envoy to come back', () => {
      const streams = [...world.server.publisher.streams];
      return streams[0]?.channels.get('route')?.sub.acked === undefined ? undefined : streams;
    });
    expect(await world.ask()).toBe('200 one');
    expect(stream?.channels.get('cluster')?.sub.rejection).toBeUndefined();
    if (apiType === 'DELTA_GRPC') expect(world.sentBytes() / first).toBeLessThan(0.02);
  });
});
