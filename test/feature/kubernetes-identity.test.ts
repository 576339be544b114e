// Identity against a real API server: tokens of real pods, deletion, TokenReview, the CA in its Secret, node agents.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Authority } from '../../certs/authority.ts';
import { authenticateBy } from '../../certs/caller.ts';
import { systemEnvironment } from '../../certs/environment.ts';
import { isRefused } from '../../certs/refusal.ts';
import { selfSignedSource } from '../../certs/self-signed.ts';
import { type KubernetesIdentity, kubernetesIdentity } from '../../cmd/kubernetes-identity.ts';
import { startKubeSource } from '../../config/sources/kube.ts';
import { type KubeApi, openKubeApi } from '../../config/sources/kube-api.ts';
import { kubeconfigAccess } from '../../config/sources/kube-config.ts';
import type { Source } from '../../config/sources/source.ts';
import { Store } from '../../config/store.ts';
import { validate } from '../../config/validate.ts';
import { accepted, rootOptions } from '../support/certificate-server.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { sleep, waitFor } from '../support/wait.ts';

const settings = {
  clusterId: 'Kubernetes',
  systemNamespace: 'default',
  tokenAudiences: ['istio-ca'],
  cacertsSecret: false,
};
let server: TestApiServer;
let api: KubeApi;
let source: Source;
let identity: KubernetesIdentity;
const store = new Store();
const reviews: string[] = [];

beforeAll(async () => {
  server = await startApiServer();
  api = openKubeApi(await kubeconfigAccess(server.kubeconfig));
  const counted: Pick<KubeApi, 'send'> = {
    send: (method, path, body) => {
      if (path.endsWith('/tokenreviews')) {
        reviews.push(path);
      }
      return api.send(method, path, body);
    },
  };
  identity = await kubernetesIdentity(counted, settings, () => 'cluster.local', Date.now);
  identity.follow(store);
  const kinds = { api, check: validate, sleep: (ms: number) => sleep(ms), random: Math.random, now: Date.now };
  source = startKubeSource(kinds, store.sinkOf('kubernetes'));
}, 300_000);
afterAll(async () => {
  await source?.[Symbol.asyncDispose]();
  api?.[Symbol.dispose]();
  await server?.stop();
});

const serviceAccount = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name, namespace: 'default' },
});
const pod = (name: string, account: string, node: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: {
    serviceAccountName: account,
    nodeName: node,
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'c', image: 'x' }],
  },
});

async function ask(token: string, clusterId = ''): Promise<string> {
  const result = await authenticateBy(identity.authenticators)({
    secure: true,
    authorization: [`Bearer ${token}`],
    clusterId,
  });
  return isRefused(result)
    ? result.reason
    : result.identities.map((each) => `${each.serviceAccount} in ${each.podName}`).join();
}

async function boundToken(podName: string, account: string, audience = 'istio-ca'): Promise<string> {
  const { metadata } = await server.client.get(pod(podName, account, 'node-1'));
  const body = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      audiences: [audience],
      expirationSeconds: 3600,
      boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: podName, uid: metadata['uid'] },
    },
  };
  const answer = await server.client.request(
    'POST',
    `/api/v1/namespaces/default/serviceaccounts/${account}/token`,
    body,
  );
  return answer.body.status.token;
}

test('a pod’s token is checked locally, without a review, until the pod is deleted', async () => {
  await server.client.applyAll([serviceAccount('web'), pod('web-1', 'web', 'node-1')]);
  const token = await boundToken('web-1', 'web');
  await waitFor('the watch to see the pod', () => identity.pods.pod(undefined, 'default', 'web-1'));
  await waitFor('the watch to see the account', () => store.get('ServiceAccount', 'default/web'));
  const before = reviews.length;
  for (let i = 0; i < 20; i++) {
    expect(await ask(token)).toBe('web in web-1');
  }
  expect(reviews.length).toBe(before);
  expect(await ask(token, 'other-cluster')).toMatch(/no cluster is known/);
  expect(await ask(await boundToken('web-1', 'web', 'vault'))).toMatch(/another audience/);

  await server.client.delete(pod('web-1', 'web', 'node-1'));
  await waitFor('the watch to see it gone', () => identity.pods.pod(undefined, 'default', 'web-1') === undefined);
  // From here on the API server decides, whose own caches may know of the pod a moment longer.
  await waitFor('the token to be refused', async () => /does not accept/.test(await ask(token)));
  expect(reviews.length).toBeGreaterThan(before);
});

test('a pod of the same name is another pod', async () => {
  await server.client.apply(pod('web-2', 'web', 'node-1'));
  const token = await boundToken('web-2', 'web');
  const uid = () => identity.pods.pod(undefined, 'default', 'web-2')?.uid;
  const first = await waitFor('the pod', uid);
  await server.client.delete(pod('web-2', 'web', 'node-1'));
  await server.client.apply(pod('web-2', 'web', 'node-1'));
  await waitFor('the other pod', () => uid() !== undefined && uid() !== first);
  expect(await ask(token)).toMatch(/replaced/);
});

test('node agents find the pods of their node', async () => {
  await server.client.applyAll([serviceAccount('db'), pod('db-1', 'db', 'node-2')]);
  await waitFor('the pod', () => identity.pods.pod(undefined, 'default', 'db-1'));
  expect(identity.pods.runsOn(undefined, 'node-2', 'default', 'db')).toBe(true);
  expect(identity.pods.runsOn(undefined, 'node-1', 'default', 'db')).toBe(false);
  await server.client.delete(pod('db-1', 'db', 'node-2'));
  await waitFor('the pod to go', () => !identity.pods.runsOn(undefined, 'node-2', 'default', 'db'));
});

test('replicas that start at once share one root in istio-ca-secret, and see each other’s changes', async () => {
  const open = async () => {
    const other = await kubernetesIdentity(api, settings, () => 'cluster.local', Date.now);
    return accepted(
      await Authority.open(selfSignedSource(other.caStore, rootOptions, systemEnvironment), systemEnvironment),
    );
  };
  const authorities = await Promise.all([open(), open(), open(), open()]);
  expect(new Set(authorities.map(({ state }) => state.bundle.version)).size).toBe(1);
  const secret = await server.client.get({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'istio-ca-secret', namespace: 'default' },
  });
  expect(secret['type']).toBe('istio.io/ca-root');
  expect(Object.keys(secret['data'] as object).sort()).toEqual(['ca-cert.pem', 'ca-key.pem', 'root-cert.pem']);
  const stored = await identity.caStore.read();
  if (stored === undefined || isRefused(stored)) {
    throw new Error('no record');
  }
  const writes = await Promise.all(
    [1, 2, 3].map((i) => identity.caStore.replace({ ...stored.record, writer: `${i}` }, stored.version)),
  );
  expect(writes.filter((write) => write === 'replaced').length).toBe(1);
  for (const authority of authorities) {
    authority[Symbol.dispose]();
  }
});
