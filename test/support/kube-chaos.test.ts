// That the misbehaving proxy lets everything through when told to behave, and else does what it is told.
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startApiServer, type TestApiServer } from './kube-apiserver.ts';
import { type KubeChaos, startKubeChaos } from './kube-chaos.ts';
import { KubeClient } from './kube-client.ts';
import { randomOf } from './random.ts';
import { waitFor } from './wait.ts';

let server: TestApiServer;
let chaos: KubeChaos;
let through: KubeClient;
beforeAll(async () => {
  server = await startApiServer();
  chaos = await startKubeChaos(server, randomOf(1));
  through = new KubeClient({ url: chaos.url, ca: await readFile(server.caFile, 'utf8'), token: server.token });
});
beforeEach(() => chaos.behave({}));
afterAll(async () => {
  through?.close();
  await chaos?.[Symbol.asyncDispose]();
  await server?.stop();
});

interface Watch {
  readonly status: number;
  readonly lines: readonly string[];
  readonly ended: boolean;
  readonly error?: string;
}

/** A watch of the ConfigMaps of `default`; `state()` is what came so far. */
async function watch(query = ''): Promise<{ readonly state: () => Watch; readonly close: () => void }> {
  const ca = await readFile(server.caFile, 'utf8');
  let status = 0;
  let text = '';
  let ended = false;
  let error: string | undefined;
  const call = request(
    `${chaos.url}/api/v1/namespaces/default/configmaps?watch=1${query}`,
    { ca, headers: { authorization: `Bearer ${server.token}` } },
    (answer) => {
      status = answer.statusCode ?? 0;
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('error', (e) => {
        error = e.message;
      });
      answer.on('close', () => {
        ended = true;
      });
    },
  );
  call.on('error', (e) => {
    error = e.message;
    ended = true;
  });
  call.end();
  const state = (): Watch => ({ status, lines: text.split('\n'), ended, ...(error === undefined ? {} : { error }) });
  await waitFor('the watch to answer', () => status !== 0 || ended);
  return { state, close: () => call.destroy() };
}

const configMap = (name: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default' },
});

test('requests and events pass when it behaves', async () => {
  const { state, close } = await watch();
  await through.apply(configMap('passes'));
  await waitFor('the event', () => state().lines.some((line) => line.includes('"passes"')));
  expect(await server.client.get(configMap('passes'))).toMatchObject({ kind: 'ConfigMap' });
  close();
});

test('a watch is cut', async () => {
  const { state } = await watch();
  chaos.behave({ cut: 1 });
  await server.client.apply(configMap('cut'));
  await waitFor('the end', () => state().ended);
  expect(state().error).toBe('aborted');
  expect(chaos.counts.cuts).toBe(1);
});

test('a watch expires with an event', async () => {
  const { state } = await watch();
  chaos.behave({ expire: 1 });
  await server.client.apply(configMap('expires'));
  await waitFor('the end', () => state().ended);
  expect(JSON.parse(state().lines.at(-2) ?? '')).toMatchObject({ type: 'ERROR', object: { code: 410 } });
});

test('a version is refused, a watch from now is not', async () => {
  chaos.behave({ refuseVersion: 1 });
  expect((await watch('&resourceVersion=1')).state()).toMatchObject({ status: 410 });
  const { state, close } = await watch();
  expect(state()).toMatchObject({ status: 200, ended: false });
  close();
});

test('lists fail', async () => {
  chaos.behave({ fail: 1 });
  expect([429, 500, 503]).toContain((await through.request('GET', '/api/v1/services')).status);
});

test('all connections are cut on demand', async () => {
  const { state } = await watch();
  chaos.cutAll();
  await waitFor('the end', () => state().ended);
});
