// An API server without streaming lists, behind a proxy that refuses pages and cuts watches: in the end all is as stored.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unfollowedKinds } from '../../cmd/kube/followed-kinds.ts';
import { startKubeSource } from '../../config/sources/kube.ts';
import { type KubeApi, openKubeApi } from '../../config/sources/kube-api.ts';
import { kubeconfigAccess } from '../../config/sources/kube-config.ts';
import type { Source } from '../../config/sources/source.ts';
import { Store } from '../../config/store.ts';
import { validate } from '../../config/validate.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import { type KubeChaos, startKubeChaos } from '../support/kube-chaos.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { leastPrivilege } from '../support/kubernetes-plane.ts';
import { randomOf } from '../support/random.ts';
import { sleep, waitFor } from '../support/wait.ts';

/** More than two pages of 500. */
const objects = 1_200;

let server: TestApiServer;
let chaos: KubeChaos;
let api: KubeApi;
let source: Source;
const store = new Store();
const random = randomOf(11);
/** The ConfigMaps that the store had when it was told to be in sync. */
let atSync = -1;

const configMap = (i: number, value: number): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: `edited-${i}`, namespace: 'default' },
  data: { values: String(value) },
});
const folder = '/api/v1/namespaces/default/configmaps';

/** Runs a job for each number below `count`, eight at a time; the same object is never written by two. */
async function each(count: number, job: (i: number) => Promise<unknown>): Promise<void> {
  const worker = async (own: number): Promise<void> => {
    for (let i = own; i < count; i += 8) await job(i);
  };
  await Promise.all(Array.from({ length: 8 }, (_, own) => worker(own)));
}

const held = (): readonly string[] =>
  store
    .list('ConfigMap')
    .filter(({ metadata }) => metadata.name.startsWith('edited-'))
    .map(({ metadata, data }) => `${metadata.name} ${data?.values}`)
    .sort();
async function stored(): Promise<readonly string[]> {
  const items = await server.client.list(folder);
  return items
    .filter(({ metadata }) => metadata.name.startsWith('edited-'))
    .map(({ metadata, data }) => `${metadata.name} ${(data as { values: string }).values}`)
    .sort();
}

beforeAll(async () => {
  server = await startApiServer({ flags: ['--feature-gates=WatchList=false'] });
  await each(objects, (i) => server.client.create(configMap(i, 0)));
  chaos = await startKubeChaos(server, randomOf(13));
  chaos.behave({ fail: 0.3 });
  api = openKubeApi(await kubeconfigAccess(await leastPrivilege(server, chaos.url)));
  store.onStatus(() => {
    if (store.synced && atSync < 0) atSync = held().length;
  });
  const rest = (ms: number) => sleep(Math.min(ms, 200));
  source = startKubeSource(
    { api, check: validate, without: unfollowedKinds, sleep: rest, random: Math.random, now: Date.now },
    store.sinkOf('kubernetes'),
  );
}, 300_000);
afterAll(async () => {
  await source?.[Symbol.asyncDispose]();
  api?.[Symbol.dispose]();
  await chaos?.[Symbol.asyncDispose]();
  await server?.stop();
});

test('everything is read in pages, though some are refused', async () => {
  const detail = () => JSON.stringify([...store.sources()]);
  await waitFor('the first state', () => store.synced, { timeoutMs: 60_000, detail });
  expect(atSync).toBe(objects);
  expect(chaos.counts.lists).toBeGreaterThan(3);
  expect(chaos.counts.failed).toBeGreaterThan(0);
});

test('lists that are read anew under edits, refusals and cuts end in the API server’s state', async () => {
  const { lists } = chaos.counts;
  chaos.behave({ cut: 0.01, expire: 0.01, refuseVersion: 0.2, fail: 0.2, delayMs: 1 });
  const cutter = setInterval(() => chaos.cutAll(), 1_000);
  const hasSeenEnough = () => chaos.counts.lists > lists + 5 && chaos.counts.refused + chaos.counts.expired > 5;
  for (let round = 1; round <= 2 || (round <= 20 && !hasSeenEnough()); round++) {
    await each(objects, (i) => {
      const one = `${folder}/edited-${i}`;
      return random() < 0.1 ? server.client.request('DELETE', one) : server.client.apply(configMap(i, round));
    });
  }
  clearInterval(cutter);
  chaos.behave({});
  chaos.cutAll();
  const wanted = await stored();
  const detail = () => JSON.stringify([...store.sources()]);
  await waitFor('the state', () => held().join() === wanted.join(), { timeoutMs: 30_000, detail });
  expect(wanted.length).toBeGreaterThan(1_000);
  expect(hasSeenEnough()).toBe(true);
}, 120_000);
