// The control plane as a pod: no kubeconfig, only the files of its service account, of which kubelet replaces the token.
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { startApiServer, type TestApiServer, tokenIssuer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { installDefinitions, leastPrivilege, rootCertificate, systemNamespace } from '../support/kubernetes-plane.ts';
import { waitFor } from '../support/wait.ts';

let server: TestApiServer;
let plane: TestDiscovery;
let folder: string;

/** A pod of the control plane's account; its token ends with it. */
const podNamed = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: systemNamespace },
  spec: { serviceAccountName: 'istiod', containers: [{ name: 'discovery', image: 'x' }] },
});

/** Puts another token into the folder, bound to a new pod. */
async function mountTokenOf(pod: string): Promise<void> {
  const { metadata } = await server.client.create(podNamed(pod));
  const token = await server.client.createToken({
    namespace: systemNamespace,
    serviceAccount: 'istiod',
    audiences: [tokenIssuer],
    pod: { name: pod, uid: String(metadata['uid']) },
  });
  await writeFile(join(folder, 'token'), `${token}\n`);
}

beforeAll(async () => {
  server = await startApiServer();
  await installDefinitions(server);
  await leastPrivilege(server);
  folder = await mkdtemp(join(tmpdir(), 'service-account-'));
  await copyFile(server.caFile, join(folder, 'ca.crt'));
  await writeFile(join(folder, 'namespace'), systemNamespace);
  await mountTokenOf('istiod-1');
  const { hostname, port } = new URL(server.url);
  plane = await startDiscovery({
    serviceAccount: folder,
    environment: { POD_NAME: 'istiod-1', KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
  });
}, 300_000);
afterAll(async () => {
  await plane?.[Symbol.asyncDispose]();
  await server?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

test('it reads the cluster, and writes what is its own to write', async () => {
  expect(await rootCertificate(server.client, 'default')).toContain('BEGIN CERTIFICATE');
  expect(plane.child.output()).not.toMatch(/forbidden/i);
});

test('a token that ends is replaced by the one that is mounted then, and nothing is missed', async () => {
  const old = (await readFile(join(folder, 'token'), 'utf8')).trim();
  await mountTokenOf('istiod-2');
  await server.client.delete(podNamed('istiod-1'));
  // Kubernetes remembers a good token for ten seconds.
  using withOld = server.client.as(old);
  await waitFor('the old one to be refused', async () => (await withOld.request('GET', '/api')).status === 401);
  await server.client.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'afterwards' } });
  expect(await rootCertificate(server.client, 'afterwards')).toContain('BEGIN CERTIFICATE');
  plane.child.assertRunning();
}, 60_000);
