// The server over real gRPC: both variants, refusals, bad clients, slow clients.
import { afterEach, describe, expect, test } from 'vitest';
import { deltaRequest, sidecarNode } from '../../test/support/xds/client.ts';
import {
  type FakeResources,
  fakeClassOf,
  fakeGraph,
  fakeTranslators,
  writeFake,
} from '../../test/support/xds/fake-mesh.ts';
import { askOnce, connect, type GrpcConnection, openDeaf } from '../../test/support/xds/grpc-client.ts';
import { proxies } from '../proxy/classify.ts';
import { typeUrls } from '../xds-types.ts';
import { createXdsServer, type XdsServer, type XdsServerOptions } from './server.ts';

const { cluster, listener } = typeUrls;
const node = sidecarNode();
const status = {
  ok: 0,
  invalidArgument: 3,
  deadlineExceeded: 4,
  permissionDenied: 7,
  exhausted: 8,
  unavailable: 14,
  unauthenticated: 16,
};

interface Running {
  readonly server: XdsServer;
  readonly address: string;
  readonly connection: GrpcConnection;
  readonly set: (resources: FakeResources) => Promise<void>;
}

const closing: (() => Promise<void>)[] = [];

async function start(options: Partial<XdsServerOptions> = {}): Promise<Running> {
  const server = createXdsServer({
    graph: fakeGraph(),
    translators: fakeTranslators(),
    proxies,
    classOf: fakeClassOf,
    authenticate: async () => ({ kind: 'anonymous' }),
    ...options,
  });
  const { port } = await server.listen({ address: '127.0.0.1:0' });
  const address = `127.0.0.1:${port}`;
  const connection = connect(address);
  let now: FakeResources = {};
  closing.push(async () => {
    connection.close();
    await server.close();
  });
  return {
    server,
    address,
    connection,
    set: (resources) => {
      const before = now;
      now = resources;
      return server.publisher.apply((graph) => writeFake(graph, 'default', before, resources));
    },
  };
}

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

describe('the server', () => {
  test('serves both variants', async () => {
    const { connection, set } = await start();
    await set({ cluster: { a: 'a=1' } });
    const delta = connection.open('delta');
    delta.delta({ node, typeUrl: cluster });
    const sotw = connection.open('sotw');
    sotw.sotw({ node, typeUrl: cluster });
    const one = await delta.next(() => true);
    const two = await sotw.next(() => true);
    expect([...one.resources]).toEqual([...two.resources]);
    await set({ cluster: { a: 'a=2' } });
    expect((await delta.next(({ resources }) => resources.get('a') === 'a=2')).removed).toEqual([]);
    await sotw.next(({ resources }) => resources.get('a') === 'a=2');
  });

  test('refuses streams until it is ready', async () => {
    let ready = false;
    const { connection } = await start({ ready: () => ready });
    const early = connection.open('delta');
    early.delta({ node, typeUrl: cluster });
    expect((await early.status).code).toBe(status.unavailable);
    ready = true;
    const late = connection.open('delta');
    late.delta({ node, typeUrl: cluster });
    await late.next(() => true);
  });

  test('refuses callers that authentication refuses, or that fails', async () => {
    const { connection } = await start({
      authenticate: async ({ header }) => {
        if (header('authorization')[0] === 'Bearer good') {
          return {
            kind: 'identified',
            identities: [{ trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'app' }],
          };
        }
        if (header('authorization')[0] === 'Bearer broken') throw new Error('the token server is away');
        return { kind: 'refused', reason: 'no credential' };
      },
    });
    const stranger = connection.open('delta');
    expect(await stranger.status).toMatchObject({ code: status.unauthenticated, details: 'no credential' });
    const broken = connection.open('delta', { authorization: 'Bearer broken' });
    expect((await broken.status).code).toBe(status.unauthenticated);
    const known = connection.open('delta', { authorization: 'Bearer good' });
    known.delta({ node, typeUrl: cluster });
    await known.next(() => true);
    const impostor = connection.open('delta', { authorization: 'Bearer good' });
    impostor.delta({ node: sidecarNode('app', 'elsewhere'), typeUrl: cluster });
    expect((await impostor.status).code).toBe(status.permissionDenied);
  });

  test.each([
    ['bytes that are no message', Buffer.from([0xff, 0xff, 0xff, 0xff])],
    ['an empty message', Buffer.alloc(0)],
  ])('ends a stream that sends %s, and only that one', async (_what, bytes) => {
    const { connection } = await start();
    const good = connection.open('delta');
    good.delta({ node, typeUrl: cluster });
    await good.next(() => true);
    const bad = connection.open('delta');
    bad.raw(bytes);
    expect((await bad.status).code).toBe(status.invalidArgument);
    good.delta({ typeUrl: listener });
    await good.next(({ typeUrl }) => typeUrl === listener);
  });

  test('says what is wrong with a node', async () => {
    const { connection } = await start();
    const nameless = connection.open('delta');
    nameless.delta({ typeUrl: cluster });
    expect(await nameless.status).toMatchObject({ code: status.invalidArgument, details: 'missing node information' });
    const wrong = connection.open('delta');
    wrong.delta({ node: { id: 'sidecar~10.0.0.1~app' }, typeUrl: cluster });
    const { code, details } = await wrong.status;
    expect(code).toBe(status.invalidArgument);
    expect(details).toContain('node.id');
  });

  test('a client that floods requests is slowed down, and the others are served meanwhile', async () => {
    const { connection, address } = await start({ server: { requestRate: 50 } });
    const flooding = connect(address);
    closing.push(async () => flooding.close());
    const flood = flooding.open('delta');
    const floodBegan = performance.now();
    for (let i = 0; i < 2000; i++) flood.delta({ node, typeUrl: cluster, resourceNamesSubscribe: [`n${i}`] });
    await flood.next(() => true);
    const began = performance.now();
    const other = connection.open('delta');
    other.delta({ node: sidecarNode('other'), typeUrl: cluster });
    await other.next(() => true);
    // The flood would take 40 s.
    expect(performance.now() - began).toBeLessThan(10_000);
    await new Promise((resolve) => setTimeout(resolve, 300));
    // 200 at once and 50 a second, not 2,000.
    expect(flood.received.length).toBeLessThan(250 + (50 * (performance.now() - floodBegan)) / 1000);
  });

  test('refuses a request that is too large', async () => {
    const { connection } = await start({ server: { maxRequestBytes: 1000 } });
    const large = connection.open('delta');
    large.delta({ node, typeUrl: cluster, resourceNamesSubscribe: ['x'.repeat(2000)] });
    expect((await large.status).code).toBe(status.exhausted);
  });

  test('ends a stream that says nothing', async () => {
    const { connection, server } = await start({ server: { firstRequestMs: 50 } });
    const silent = connection.open('delta');
    expect((await silent.status).code).toBe(status.deadlineExceeded);
    expect(server.publisher.streams.size).toBe(0);
  });

  test('a client that stops reading is ended, and never holds the others up', async () => {
    const { address, connection, set, server } = await start({ server: { sendMs: 3_000 } });
    const big = (n: number): FakeResources => ({ cluster: { a: `a=${n}${'x'.repeat(4_000_000)}` } });
    await set(big(0));
    const reader = connection.open('delta');
    reader.delta({ node, typeUrl: cluster });
    await reader.next(() => true);
    const deaf = openDeaf(address, deltaRequest({ node: sidecarNode('deaf'), typeUrl: cluster }));
    closing.push(async () => deaf.close());
    await expect.poll(() => server.publisher.streams.size).toBe(2);
    for (let n = 1; n <= 3; n++) {
      await set(big(n));
      await reader.next(({ resources }) => resources.get('a')?.startsWith(`a=${n}`) === true);
    }
    await expect.poll(() => server.publisher.streams.size).toBe(1);
    expect(await deaf.ended).not.toBe(0);
  });

  test('keeps the connection of a proxy whose earlier stream ends late', async () => {
    const { connection, set, server } = await start();
    const first = connection.open('delta');
    first.delta({ node, typeUrl: cluster });
    await first.next(() => true);
    const second = connection.open('delta');
    second.delta({ node, typeUrl: cluster });
    await second.next(() => true);
    first.end();
    expect((await first.status).code).toBe(status.ok);
    await expect.poll(() => server.publisher.streams.size).toBe(1);
    await set({ cluster: { a: 'a=1' } });
    await second.next(({ resources }) => resources.has('a'));
  });

  test('describes itself to grpcurl', async () => {
    const { address } = await start();
    for (const version of ['v1', 'v1alpha']) {
      const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
      // Field 7, an empty string: list_services.
      const answer = await askOnce(address, path, Buffer.from([0x3a, 0x00]));
      expect(answer.toString('latin1')).toContain('envoy.service.discovery.v3.AggregatedDiscoveryService');
    }
  });

  test('a second server on the same port is told so', async () => {
    const { address } = await start();
    const other = createXdsServer({
      graph: fakeGraph(),
      translators: fakeTranslators(),
      proxies,
      classOf: fakeClassOf,
      authenticate: async () => ({ kind: 'anonymous' }),
    });
    await expect(other.listen({ address })).rejects.toThrow();
    await other.close();
  });
});
