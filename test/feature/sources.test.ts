// One suite over the sources of configuration: memory, a folder of files and a real API server tell a store the same.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { AnyObject } from '../../config/kinds/kinds.ts';
import { startFileSource } from '../../config/sources/files.ts';
import { startKubeSource } from '../../config/sources/kube.ts';
import { openKubeApi } from '../../config/sources/kube-api.ts';
import { kubeconfigAccess } from '../../config/sources/kube-config.ts';
import { MemorySource } from '../../config/sources/memory.ts';
import { Store } from '../../config/store.ts';
import { validate } from '../../config/validate.ts';
import { startApiServer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { sleep, waitFor } from '../support/wait.ts';

/** A source under test and a way to change what it reads. */
interface Subject extends AsyncDisposable {
  readonly store: Store;
  readonly put: (object: KubeObject) => Promise<void>;
  readonly remove: (object: KubeObject) => Promise<void>;
  /** Whether it checks what it reads; memory is given typed objects. */
  readonly checks: boolean;
}

const idOf = ({ kind, metadata }: KubeObject): string => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;

async function memory(): Promise<Subject> {
  const store = new Store();
  const source = new MemorySource(store.sinkOf('memory'), Date.now);
  const objects = new Map<string, AnyObject>();
  const set = async () => source.set([...objects.values()]);
  await set();
  return {
    store,
    checks: false,
    put: async (object) => {
      const checked = validate(object);
      if (checked.object !== undefined) objects.set(idOf(object), checked.object);
      await set();
    },
    remove: async (object) => {
      objects.delete(idOf(object));
      await set();
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function files(): Promise<Subject> {
  const store = new Store();
  const folder = await mkdtemp(join(tmpdir(), 'sources-'));
  const pathOf = (object: KubeObject) => join(folder, `${idOf(object).replace(/\W+/g, '-')}.yaml`);
  const options = { path: folder, check: validate, watch: true, now: Date.now };
  const source = await startFileSource(options, store.sinkOf('files'));
  return {
    store,
    checks: true,
    put: (object) => writeFile(pathOf(object), JSON.stringify(object)),
    remove: (object) => rm(pathOf(object)),
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A definition of former times, which lets everything pass. */
const looseDefinition: KubeObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'virtualservices.networking.istio.io' },
  spec: {
    group: 'networking.istio.io',
    names: { kind: 'VirtualService', plural: 'virtualservices', singular: 'virtualservice' },
    scope: 'Namespaced',
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

async function kubernetes(): Promise<Subject> {
  const store = new Store();
  const server = await startApiServer();
  await server.client.apply(looseDefinition);
  await server.client.pathOf(virtualService('any', 'a'));
  const api = openKubeApi(await kubeconfigAccess(server.kubeconfig));
  const source = startKubeSource(
    { api, check: validate, sleep: (ms) => sleep(ms), random: Math.random, now: Date.now },
    store.sinkOf('kubernetes'),
  );
  return {
    store,
    checks: true,
    put: async (object) => {
      // Replaced as a whole, as a file is.
      const path = await server.client.pathOf(object);
      const { status, body } = await server.client.request('GET', path);
      if (status === 404) await server.client.create(object);
      else {
        const metadata = { ...object.metadata, resourceVersion: body.metadata.resourceVersion };
        expect((await server.client.request('PUT', path, { ...object, metadata })).status).toBe(200);
      }
    },
    remove: (object) => server.client.delete(object),
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      api[Symbol.dispose]();
      await server.stop();
    },
  };
}

function virtualService(name: string, host: unknown): KubeObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name, namespace: 'default' },
    spec: { hosts: [host], http: [{ route: [{ destination: { host: 'a' } }] }] },
  };
}

describe.each([
  ['memory', memory],
  ['files', files],
  ['kubernetes', kubernetes],
] as const)('%s', (_name, open) => {
  let subject: Subject;
  afterAll(async () => subject?.[Symbol.asyncDispose]());

  test('is in sync, and hands over what appears, changes and goes', async () => {
    subject = await open();
    const { store, put, remove } = subject;
    await waitFor('the first sync', () => store.synced, { timeoutMs: 30_000 });
    const hosts = () => store.list('VirtualService').map(({ metadata, spec }) => `${metadata.name} ${spec?.hosts}`);
    const become = (wanted: readonly string[]) =>
      waitFor(`${wanted}`, () => JSON.stringify(hosts()) === JSON.stringify(wanted), { detail: () => `${hosts()}` });
    await put(virtualService('b', 'b'));
    await put(virtualService('a', 'a'));
    await become(['a a', 'b b']);
    await put(virtualService('a', 'other'));
    await become(['a other', 'b b']);
    await remove(virtualService('b', 'b'));
    await become(['a other']);
    expect(store.findings()).toEqual([]);
  }, 120_000);

  test('keeps the last good version of what became bad, and says so until it is mended', async () => {
    const { store, put, remove, checks } = subject;
    await put(virtualService('a', 7));
    if (checks) await waitFor('the finding', () => store.findings().some(({ code }) => code === 'kept-last-good'));
    expect(store.get('VirtualService', 'default/a')?.spec?.hosts).toEqual(['other']);
    await put(virtualService('a', 'mended'));
    await waitFor('the mended one', () => store.get('VirtualService', 'default/a')?.spec?.hosts?.[0] === 'mended');
    expect(store.findings()).toEqual([]);
    await put(virtualService('bad', 7));
    if (checks) await waitFor('its finding', () => store.findings().some(({ object }) => object?.name === 'bad'));
    expect(store.get('VirtualService', 'default/bad')).toBeUndefined();
    await remove(virtualService('a', 'mended'));
    await waitFor('it to go', () => store.get('VirtualService', 'default/a') === undefined);
  });
});
