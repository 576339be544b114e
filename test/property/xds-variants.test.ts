// Properties of the xDS server over random edits: what a client holds is what there is, however it subscribes.

import { describe, expect, test } from 'vitest';
import { pushOrder, type ResourceType, typeUrls } from '../../discovery/xds-types.ts';
import { fc } from '../support/property.ts';
import { type Received, sidecarNode } from '../support/xds/client.ts';
import { type FakeResources, listFake, regroup } from '../support/xds/fake-mesh.ts';
import { type Loopback, type LoopbackStream, loopback } from '../support/xds/loopback.ts';

const types = ['cluster', 'endpoint', 'listener', 'route'] as const satisfies readonly ResourceType[];
const listed: ReadonlySet<ResourceType> = new Set(['cluster', 'listener']);
const pool = ['a', 'b', 'c', 'd'];

/** A client's book, applied as the protocol says: by differences, or by whole states. */
class Client {
  readonly held = new Map<string, Map<string, string>>(types.map((type) => [typeUrls[type], new Map()]));
  readonly versions = new Map<string, Map<string, string>>(types.map((type) => [typeUrls[type], new Map()]));
  readonly #variant: 'delta' | 'sotw';
  #stream: LoopbackStream;
  /** Names of the endpoints and routes it asks for. */
  readonly #named: readonly string[];

  constructor(mesh: Loopback, variant: 'delta' | 'sotw', named: readonly string[]) {
    this.#variant = variant;
    this.#named = named;
    this.#stream = mesh.open(variant);
  }

  /** Subscribes to all types; on a later stream with what it still has. */
  async subscribe(): Promise<void> {
    for (const type of types) {
      const names = listed.has(type) ? [] : [...this.#named];
      const typeUrl = typeUrls[type];
      if (this.#variant === 'sotw') await this.#stream.sotw({ node: sidecarNode(), typeUrl, resourceNames: names });
      else {
        const initialResourceVersions = Object.fromEntries(this.versions.get(typeUrl) ?? []);
        await this.#stream.delta({
          node: sidecarNode(),
          typeUrl,
          resourceNamesSubscribe: names,
          initialResourceVersions,
        });
      }
    }
  }

  /** Loses the stream and opens another. */
  async reconnect(mesh: Loopback): Promise<void> {
    this.#stream.stream.close();
    this.#stream = mesh.open(this.#variant);
    await this.subscribe();
  }

  set paused(value: boolean) {
    if (value) this.#stream.paused = true;
    else this.#stream.resume();
  }

  /** Applies what came, and acknowledges it. Gives the bytes received. */
  async settle(): Promise<number> {
    let bytes = 0;
    for (let received = this.#stream.take(); received.length > 0; received = this.#stream.take()) {
      for (const message of received) {
        bytes += message.bytes;
        this.#apply(message);
        const { typeUrl, nonce: responseNonce } = message;
        if (this.#variant === 'delta') await this.#stream.delta({ typeUrl, responseNonce });
        else {
          const resourceNames = typeUrl === typeUrls.endpoint || typeUrl === typeUrls.route ? [...this.#named] : [];
          await this.#stream.sotw({ typeUrl, responseNonce, resourceNames });
        }
      }
    }
    return bytes;
  }

  #apply({ typeUrl, resources, versions, removed }: Received): void {
    const held = this.held.get(typeUrl) ?? new Map<string, string>();
    const known = this.versions.get(typeUrl) ?? new Map<string, string>();
    if (this.#variant === 'sotw' && (typeUrl === typeUrls.cluster || typeUrl === typeUrls.listener)) held.clear();
    for (const [name, text] of resources) held.set(name, text);
    for (const [name, version] of versions) known.set(name, version);
    for (const name of removed) {
      held.delete(name);
      known.delete(name);
    }
  }
}

const texts = fc.dictionary(fc.constantFrom(...pool), fc.nat(3), { maxKeys: 4, noNullPrototype: true });
const world: fc.Arbitrary<FakeResources> = fc
  .record({ cluster: texts, endpoint: texts, listener: texts, route: texts })
  .map((record) =>
    Object.fromEntries(
      Object.entries(record).map(([type, names]) => [
        type,
        // Tests read a resource's name from its text.
        Object.fromEntries(Object.entries(names).map(([name, n]) => [name, `${name}=${type}${n}`])),
      ]),
    ),
  );
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: world.map((resources) => ({ kind: 'set' as const, resources })) },
    { weight: 1, arbitrary: fc.constant({ kind: 'reconnect' as const }) },
    { weight: 2, arbitrary: fc.boolean().map((other) => ({ kind: 'class' as const, other })) },
    { weight: 1, arbitrary: fc.boolean().map((paused) => ({ kind: 'pause' as const, paused })) },
  ),
  { maxLength: 12 },
);

/** What the other class lists, whether it exists or not. */
const otherList = ['a', 'c'];

/** What a client must hold: everything its class lists, and of the named types what it asked for. */
function expected(now: FakeResources, type: ResourceType, named: readonly string[], other: boolean): object {
  const all = now[type] ?? {};
  if (listed.has(type) && other) return Object.fromEntries(Object.entries(all).filter(([n]) => otherList.includes(n)));
  return listed.has(type)
    ? { ...all }
    : Object.fromEntries(Object.entries(all).filter(([name]) => named.includes(name)));
}

describe('xDS variants', { timeout: 120_000 }, () => {
  test('delta and state of the world end with the same, whatever happened, and it is what there is', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.subarray(pool), world, async (list, named, last) => {
        const mesh = loopback({ limits: { settleMs: 0 } });
        const clients = [new Client(mesh, 'delta', named), new Client(mesh, 'sotw', named)];
        for (const client of clients) await client.subscribe();
        let other = false;
        await mesh.publisher.apply((graph) => {
          for (const type of listed) listFake(graph, 'other', type, otherList);
        });
        for (const step of list) {
          if (step.kind === 'set') await mesh.set(step.resources);
          if (step.kind === 'class') {
            other = step.other;
            const nodeId = sidecarNode().id ?? '';
            await mesh.publisher.apply((graph) => regroup(graph, nodeId, other ? 'other' : 'default'));
          }
          for (const client of clients) {
            if (step.kind === 'pause') client.paused = step.paused;
            if (step.kind === 'reconnect') await client.reconnect(mesh);
            await client.settle();
          }
        }
        for (const client of clients) client.paused = false;
        await mesh.set(last);
        for (const client of clients) await quiet(client);
        for (const type of types) {
          // Only clusters, listeners and (in delta) routes are ever reported gone; endpoints go with their cluster.
          const want = expected(last, type, named, other);
          for (const [i, client] of clients.entries()) {
            const held = Object.fromEntries(client.held.get(typeUrls[type]) ?? []);
            const reported = listed.has(type) || (i === 0 && type === 'route');
            if (reported) expect(held).toEqual(want);
            else expect(held).toMatchObject(want);
          }
        }
        mesh.publisher.stop();
      }),
      { numRuns: 300 },
    );
  });

  test('a publish that changes no content sends no bytes', async () => {
    await fc.assert(
      fc.asyncProperty(world, fc.subarray(pool), async (resources, named) => {
        const mesh = loopback({ limits: { settleMs: 0 } });
        await mesh.set(resources);
        const clients = [new Client(mesh, 'delta', named), new Client(mesh, 'sotw', named)];
        for (const client of clients) await client.subscribe();
        for (const client of clients) await quiet(client);
        await mesh.set({ ...resources });
        await mesh.publisher.apply(() => undefined);
        for (const client of clients) expect(await client.settle()).toBe(0);
        mesh.publisher.stop();
      }),
      { numRuns: 50 },
    );
  });

  test('equal worlds give equal bytes, in whatever order their parts were written', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(world, { minLength: 1, maxLength: 4 }), world, async (history, last) => {
        const direct = loopback();
        const wandering = loopback();
        for (const resources of history) await wandering.set(resources);
        await wandering.set(last);
        await direct.set(last);
        const seen = await Promise.all(
          [direct, wandering].map(async (mesh) => {
            const client = mesh.open('delta');
            for (const type of pushOrder.filter((type) => listed.has(type))) {
              await client.delta({ node: sidecarNode(), typeUrl: typeUrls[type] });
            }
            mesh.publisher.stop();
            return client.take().map(({ version, resources, versions }) => [version, [...resources], [...versions]]);
          }),
        );
        expect(seen[0]).toEqual(seen[1]);
      }),
      { numRuns: 100 },
    );
  });

  /** Until nothing more comes, with time for what was held back. */
  async function quiet(client: Client): Promise<void> {
    for (let rounds = 0; rounds < 2; ) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      rounds = (await client.settle()) === 0 ? rounds + 1 : 0;
    }
  }
});
