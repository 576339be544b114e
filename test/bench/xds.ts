// How long one change takes to reach every stream over real gRPC on loopback: large to some, small to many.
import { Worker } from 'node:worker_threads';
import { proxies } from '../../discovery/proxy/classify.ts';
import { createXdsServer } from '../../discovery/xds/server.ts';
import { type FakeResources, fakeClassOf, fakeGraph, fakeTranslators, writeFake } from '../support/xds/fake-mesh.ts';

/** One measured case; times in milliseconds from the change until the last client had it. */
export interface XdsBench {
  readonly name: string;
  readonly rounds: readonly number[];
  readonly median: number;
}

/** Runs one case: a resource of `bytes`, changed `rounds` times, to `streams` streams. */
export async function benchXds(name: string, bytes: number, streams: number, rounds: number): Promise<XdsBench> {
  const server = createXdsServer({
    graph: fakeGraph(),
    translators: fakeTranslators(),
    proxies,
    classOf: fakeClassOf,
    authenticate: async () => ({ kind: 'anonymous' }),
    admission: { burst: streams },
  });
  const world = (n: number): FakeResources => ({ cluster: { a: `a=${n}${'x'.repeat(bytes)}` } });
  await server.publisher.apply((graph) => writeFake(graph, 'default', {}, world(0)));
  const { port } = await server.listen({ address: '127.0.0.1:0' });
  const connections = Math.min(streams, 20);
  const worker = new Worker(new URL('./xds-clients.ts', import.meta.url), {
    workerData: { address: `127.0.0.1:${port}`, streams, connections },
  });
  const round = (): Promise<void> => new Promise((resolve) => worker.once('message', () => resolve()));
  await round();
  const times: number[] = [];
  for (let n = 1; n <= rounds; n++) {
    const done = round();
    const began = performance.now();
    await server.publisher.apply((graph) => writeFake(graph, 'default', world(n - 1), world(n)));
    await done;
    times.push(performance.now() - began);
  }
  await worker.terminate();
  await server.close();
  const sorted = times.toSorted((a, b) => a - b);
  return { name, rounds: times, median: sorted[Math.floor(sorted.length / 2)] ?? 0 };
}

/** The cases of the design's floor. */
export async function benchAllXds(): Promise<readonly XdsBench[]> {
  return [
    await benchXds('650 kB to each of 100 streams', 650_000, 100, 9),
    await benchXds('2 kB to each of 1,000 streams', 2_000, 1000, 9),
  ];
}

if (import.meta.main) {
  for (const { name, median, rounds } of await benchAllXds()) {
    console.log(`${name}: ${median.toFixed(0)} ms (${rounds.map((ms) => ms.toFixed(0)).join(' ')})`);
  }
}
