// A restart of the server under 1,000 clients that name their versions: nobody is left out, and hardly a byte is sent.
import { afterAll, describe, expect, test } from 'vitest';
import { proxies } from '../../discovery/proxy/classify.ts';
import { createXdsServer, type XdsServer } from '../../discovery/xds/server.ts';
import { type ResourceType, typeUrls } from '../../discovery/xds-types.ts';
import { sidecarNode } from '../support/xds/client.ts';
import { type FakeResources, fakeClassOf, fakeGraph, fakeTranslators, writeFake } from '../support/xds/fake-mesh.ts';
import { connect, type GrpcConnection } from '../support/xds/grpc-client.ts';

const clientCount = 1000;
const connectionCount = 20;
const names = Array.from({ length: 100 }, (_, i) => `service-${i}`);
const resources: FakeResources = {
  cluster: Object.fromEntries(names.map((name) => [name, `${name}=${'c'.repeat(600)}`])),
  endpoint: Object.fromEntries(names.map((name) => [name, `${name}=${'e'.repeat(600)}`])),
  listener: Object.fromEntries(names.map((name) => [name, `${name}=${'l'.repeat(600)}`])),
  route: Object.fromEntries(names.map((name) => [name, `${name}=${'r'.repeat(600)}`])),
};
const types = ['cluster', 'endpoint', 'listener', 'route'] as const satisfies readonly ResourceType[];

interface Client {
  readonly index: number;
  readonly versions: Map<string, Readonly<Record<string, string>>>;
  refusals: number;
}

describe('reconnecting', () => {
  const servers: XdsServer[] = [];
  const connections: GrpcConnection[] = [];
  afterAll(async () => {
    for (const connection of connections) connection.close();
    for (const server of servers) await server.close();
  });

  async function serve(address: string): Promise<number> {
    const server = createXdsServer({
      graph: fakeGraph(),
      translators: fakeTranslators(),
      proxies,
      classOf: fakeClassOf,
      authenticate: async () => ({ kind: 'anonymous' }),
    });
    servers.push(server);
    await server.publisher.apply((graph) => writeFake(graph, 'default', {}, resources));
    return (await server.listen({ address })).port;
  }

  /** Subscribes to everything, again after each refusal; gives the bytes received. */
  async function sync(client: Client, connection: GrpcConnection): Promise<number> {
    for (;;) {
      const stream = connection.open('delta');
      for (const type of types) {
        stream.delta({
          node: sidecarNode(`app-${client.index}`),
          typeUrl: typeUrls[type],
          resourceNamesSubscribe: type === 'endpoint' || type === 'route' ? names : [],
          initialResourceVersions: client.versions.get(type) ?? {},
        });
      }
      const answers = Promise.all(types.map((type) => stream.next(({ typeUrl }) => typeUrl === typeUrls[type])));
      const outcome = await Promise.race([answers, stream.status]);
      if ('code' in outcome) {
        client.refusals++;
        await new Promise((resolve) => setTimeout(resolve, 100 + ((client.index * 7) % 400)));
        continue;
      }
      for (const [i, type] of types.entries()) {
        const { versions } = outcome[i] ?? { versions: new Map<string, string>() };
        client.versions.set(type, { ...client.versions.get(type), ...Object.fromEntries(versions) });
      }
      return stream.received.reduce((sum, { bytes }) => sum + bytes, 0);
    }
  }

  async function syncAll(clients: readonly Client[], port: number): Promise<number> {
    const pool = Array.from({ length: connectionCount }, () => connect(`127.0.0.1:${port}`));
    connections.push(...pool);
    const bytes = await Promise.all(
      clients.map((client) => sync(client, pool[client.index % connectionCount] as GrpcConnection)),
    );
    return bytes.reduce((sum, n) => sum + n, 0);
  }

  test('every client gets in, and a restart sends less than 1% of the first sync', { timeout: 120_000 }, async () => {
    const clients = Array.from({ length: clientCount }, (_, index) => ({ index, versions: new Map(), refusals: 0 }));
    const port = await serve('127.0.0.1:0');
    const first = await syncAll(clients, port);
    expect(first).toBeGreaterThan(clientCount * 4 * 100 * 600);
    for (const connection of connections.splice(0)) connection.close();
    await servers.pop()?.close();
    await serve(`127.0.0.1:${port}`);
    const second = await syncAll(clients, port);
    expect(second / first).toBeLessThan(0.01);
    expect(clients.filter(({ versions }) => versions.size !== types.length)).toEqual([]);
    const [server] = servers;
    expect(server?.publisher.streams.size).toBe(clientCount);
  });
});
