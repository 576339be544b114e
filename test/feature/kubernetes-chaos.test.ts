// The whole plane behind an API server that is hard to reach, while 10,000 edits go by under ever-new names: in the end
// proxies hold to the byte what a fresh control plane gives them, and nothing is kept of what is gone.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import { type KubeChaos, startKubeChaos } from '../support/kube-chaos.ts';
import { applyEdit, type KubeEdit, KubeEdits } from '../support/kube-edits.ts';
import { installDefinitions, leastPrivilege } from '../support/kubernetes-plane.ts';
import { randomOf } from '../support/random.ts';
import { sleep, waitFor } from '../support/wait.ts';
import { Follower } from '../support/xds/follower.ts';

const rounds = 4;
const editsPerRound = 2_500;
const editors = 8;
const namespaces = ['red', 'blue'] as const;
const longest = { timeoutMs: 90_000, intervalMs: 200 } as const;
/**
 * What may be left, in cells and in bytes, because a sweep was not yet worth while: as much after ten rounds as after one.
 * A round leaves 28,000 cells and 18 MB where nothing is swept.
 */
const slack = { cells: 8_000, heap: 8 * 1024 * 1024 } as const;

let server: TestApiServer;
let chaos: KubeChaos;
let plane: TestDiscovery;
let proxies: readonly Follower[];
let direct: string;
const edits = Array.from({ length: editors }, (_, i) => {
  const clients = [{ app: 'client' }, { app: 'other' }];
  return new KubeEdits({ random: randomOf(100 + i), prefix: `e${i}`, namespaces, clients, most: 20 });
});

beforeAll(async () => {
  server = await startApiServer();
  await installDefinitions(server);
  for (const name of namespaces) await server.client.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  chaos = await startKubeChaos(server, randomOf(7));
  direct = await leastPrivilege(server);
  plane = await startDiscovery({ kubeconfig: await leastPrivilege(server, chaos.url), tellsHeap: true });
  proxies = followersOf(plane);
}, 300_000);
afterAll(async () => {
  for (const proxy of proxies ?? []) proxy[Symbol.dispose]();
  await plane?.[Symbol.asyncDispose]();
  await chaos?.[Symbol.asyncDispose]();
  await server?.stop();
});

/** Two sidecars, whose pods services may select, and a gateway. */
function followersOf({ ports }: TestDiscovery): readonly Follower[] {
  const nodes = [
    ['sidecar', '10.1.0.1', 'client', 'red'],
    ['sidecar', '10.1.0.2', 'other', 'blue'],
    ['router', '10.1.0.3', 'gateway', 'red'],
  ] as const;
  return nodes.map(([type, ip, app, namespace]) => {
    const id = `${type}~${ip}~${app}.${namespace}~${namespace}.svc.cluster.local`;
    const metadata = { NAMESPACE: namespace, CLUSTER_ID: 'Kubernetes', INSTANCE_IPS: ip, LABELS: { app } };
    return new Follower(
      `127.0.0.1:${ports.grpc}`,
      { id, metadata },
      { cluster: ['*'], listener: ['*'], endpoints: 'of clusters', route: ['80', '8080', '7070', '443'] },
    );
  });
}

/** Several editors at once, each in the order of its own. */
async function applyAll(next: (edits: KubeEdits) => Iterable<KubeEdit>): Promise<number> {
  const counts = edits.map(async (own) => {
    let count = 0;
    for (const edit of next(own)) {
      await applyEdit(server.client, edit);
      count++;
    }
    return count;
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

function* take(own: KubeEdits, count: number): Generator<KubeEdit> {
  for (let i = 0; i < count; i++) yield own.next();
}

type Contents = readonly ReadonlyMap<string, string>[];
const contentsOf = (followers: readonly Follower[]): Contents => followers.map((follower) => follower.contents());

/** Resources in which they differ, by the place of the proxy. */
function differences(some: Contents, others: Contents): readonly string[] {
  return some.flatMap((a, i) => {
    const b = others[i] ?? new Map<string, string>();
    return [...new Set([...a.keys(), ...b.keys()])]
      .filter((key) => a.get(key) !== b.get(key))
      .map((key) => `${i} ${key}: ${a.get(key)} instead of ${b.get(key)}`);
  });
}

/** Waits until what the proxies hold is what they should. */
async function untilEqual(what: string, expected: () => Contents): Promise<void> {
  const wrong = () => differences(contentsOf(proxies), expected());
  const detail = async () => `${wrong().slice(0, 5).join('\n')}\n${await plane.get('/debug/status')}`.slice(0, 4000);
  await waitFor(what, () => wrong().length === 0, { ...longest, detail });
}

async function edit(count: number): Promise<number> {
  chaos.behave({ cut: 0.02, expire: 0.005, refuseVersion: 0.1, fail: 0.2, delayMs: 3 });
  const cutter = setInterval(() => chaos.cutAll(), 1_500);
  try {
    return await applyAll((own) => take(own, Math.ceil(count / editors)));
  } finally {
    clearInterval(cutter);
    chaos.behave({});
    chaos.cutAll();
  }
}

test('10,000 edits under cuts, delays, 410s and refusals: proxies hold what is, and memory holds nothing else', async () => {
  const isAtRest = async () => {
    const before = contentsOf(proxies);
    await sleep(1_000);
    return before.every(({ size }) => size > 0) && differences(before, contentsOf(proxies)).length === 0;
  };
  await waitFor('the first configuration', isAtRest, longest);
  const atFirst = contentsOf(proxies);
  const cellsAtFirst = await plane.metric('meltemi_graph_cells');
  const cells: number[] = [];
  const heaps: number[] = [];
  let written = 0;
  for (let round = 0; round < rounds; round++) {
    written += await edit(editsPerRound);
    const held = await equalToFresh();
    expect(held.clusters).toBeGreaterThan(20);
    written += await applyAll((own) => own.clear());
    await untilEqual('everything to be gone', () => atFirst);
    cells.push(await plane.metric('meltemi_graph_cells'));
    heaps.push(await plane.heapAfterCollection());
  }
  expect(written).toBeGreaterThanOrEqual(10_000);
  expect(chaos.counts.cuts).toBeGreaterThan(20);
  expect(chaos.counts.expired).toBeGreaterThan(5);
  expect(chaos.counts.refused).toBeGreaterThan(5);
  plane.child.assertRunning();
  expect(Math.max(...cells)).toBeLessThan(cellsAtFirst + slack.cells);
  expect((heaps.at(-1) ?? 0) - (heaps[1] ?? 0)).toBeLessThan(slack.heap);
}, 300_000);

/** Starts another control plane on the same objects; gives what both serve. */
async function equalToFresh(): Promise<{ readonly clusters: number }> {
  await using fresh = await startDiscovery({ kubeconfig: direct });
  const others = followersOf(fresh);
  try {
    await untilEqual('what a fresh control plane gives', () => contentsOf(others));
    return { clusters: others[0]?.names('cluster').length ?? 0 };
  } finally {
    for (const other of others) other[Symbol.dispose]();
  }
}
