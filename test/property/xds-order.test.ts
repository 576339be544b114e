// Make before break as a property: at no moment does a client hold a route whose cluster, or its endpoints, it lacks.

import { describe, expect, test } from 'vitest';
import { typeUrls } from '../../discovery/xds-types.ts';
import { fc } from '../support/property.ts';
import { sidecarNode } from '../support/xds/client.ts';
import type { FakeResources } from '../support/xds/fake-mesh.ts';
import { type LoopbackStream, loopback } from '../support/xds/loopback.ts';

const { cluster, endpoint, listener, route } = typeUrls;
const clusters = ['a', 'b', 'c', 'd'];
const routes = ['r1', 'r2'];

/** Worlds without dangling references: each route goes to one of the clusters there are. */
const world: fc.Arbitrary<FakeResources> = fc
  .record({
    here: fc.subarray(clusters, { minLength: 1 }),
    targets: fc.array(fc.nat(3), { minLength: routes.length, maxLength: routes.length }),
    edition: fc.nat(2),
  })
  .map(({ here, targets, edition }) => ({
    cluster: Object.fromEntries(here.map((name) => [name, `${name}=${edition}`])),
    endpoint: Object.fromEntries(here.map((name) => [name, `${name}=${edition}`])),
    listener: { l: `l=${edition}` },
    route: Object.fromEntries(routes.map((name, i) => [name, `${name}=${here[(targets[i] ?? 0) % here.length]}`])),
  }));

/** Plays Envoy: applies one response after the other, acknowledges it, and asks for the endpoints of new clusters. */
class Envoy {
  readonly clusters = new Set<string>();
  readonly endpoints = new Set<string>();
  readonly routes = new Map<string, string>();
  readonly problems: string[] = [];
  readonly #variant: 'delta' | 'sotw';
  readonly #stream: LoopbackStream;

  constructor(stream: LoopbackStream, variant: 'delta' | 'sotw') {
    this.#stream = stream;
    this.#variant = variant;
  }

  async start(): Promise<void> {
    await this.#request(cluster, [], '', true);
    await this.settle();
    await this.#request(listener, [], '');
    await this.#request(route, routes, '');
    await this.settle();
  }

  async settle(): Promise<number> {
    let count = 0;
    for (let messages = this.#stream.take(); messages.length > 0; messages = this.#stream.take()) {
      for (const { typeUrl, nonce, resources, removed } of messages) {
        count++;
        const fresh = [...resources.keys()].filter((name) => typeUrl === cluster && !this.clusters.has(name));
        if (typeUrl === cluster && this.#variant === 'sotw') this.clusters.clear();
        for (const [name, text] of resources) {
          if (typeUrl === cluster) this.clusters.add(name);
          if (typeUrl === endpoint) this.endpoints.add(name);
          if (typeUrl === route) this.routes.set(name, text.split('=')[1] ?? '');
        }
        for (const name of typeUrl === cluster ? removed : []) this.clusters.delete(name);
        for (const name of this.endpoints) if (!this.clusters.has(name)) this.endpoints.delete(name);
        this.#check(typeUrl);
        const names = typeUrl === endpoint ? [...this.clusters] : typeUrl === route ? routes : [];
        await this.#request(typeUrl, names, nonce);
        if (fresh.length > 0) await this.#request(endpoint, fresh, '');
      }
    }
    return count;
  }

  #check(after: string): void {
    for (const [name, target] of this.routes) {
      if (!this.clusters.has(target))
        this.problems.push(`after ${after}: ${name} goes to ${target}, which is not there`);
      else if (!this.endpoints.has(target))
        this.problems.push(`after ${after}: ${name} goes to ${target} without endpoints`);
    }
  }

  async #request(typeUrl: string, names: readonly string[], nonce: string, first = false): Promise<void> {
    const node = first ? { node: sidecarNode() } : {};
    if (this.#variant === 'delta') {
      const subscribe = nonce === '' ? [...names] : [];
      await this.#stream.delta({ ...node, typeUrl, responseNonce: nonce, resourceNamesSubscribe: subscribe });
    } else {
      const all = typeUrl === endpoint ? [...this.clusters] : [...names];
      await this.#stream.sotw({ ...node, typeUrl, responseNonce: nonce, resourceNames: all });
    }
  }
}

describe.each(['delta', 'sotw'] as const)('order of %s', (variant) => {
  test('a route never goes where nothing is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(world, { minLength: 2, maxLength: 6 }), async (worlds) => {
        // The publisher's patience with Envoy ends when Envoy has done what it can, however slow this machine is.
        let clock = 0;
        const mesh = loopback({ limits: { settleMs: 30 }, now: () => clock });
        await mesh.set(worlds[0] ?? {});
        const envoy = new Envoy(mesh.open(variant), variant);
        await envoy.start();
        for (const next of worlds.slice(1)) {
          await mesh.set(next);
          for (let quiet = 0; quiet < 2; ) {
            quiet = (await envoy.settle()) === 0 ? quiet + 1 : 0;
            if (quiet > 0) clock += 35;
            await new Promise((resolve) => setTimeout(resolve, quiet === 0 ? 0 : 35));
          }
        }
        mesh.publisher.stop();
        expect(envoy.problems).toEqual([]);
        expect([...envoy.clusters].sort()).toEqual(Object.keys(worlds.at(-1)?.cluster ?? {}).sort());
      }),
      { numRuns: 25 },
    );
  });
});
