// That the API server of the Kubernetes tests is a real one: rights, tokens, controllers, and life after a crash.
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApiServer, type TestApiServer } from './kube-apiserver.ts';
import { KubeError, type KubeObject } from './kube-client.ts';
import { waitFor } from './wait.ts';

let server: TestApiServer;
beforeAll(async () => {
  server = await startApiServer({ controllerManager: true });
});
afterAll(() => server?.stop());

const configMap = (name: string, data: Record<string, string> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default' },
  data,
});

test('it says its version and stores objects', async () => {
  expect((await server.client.request('GET', '/version')).body.gitVersion).toMatch(/^v1\.\d+\.\d+/);
  await server.client.apply(configMap('a', { x: '1' }));
  await server.client.apply(configMap('a', { x: '2' }));
  expect(await server.client.get(configMap('a'))).toMatchObject({ data: { x: '2' } });
  await server.client.delete(configMap('a'));
  await expect(server.client.get(configMap('a'))).rejects.toThrow(KubeError);
});

test('a service account may do only what RBAC grants it', async () => {
  await server.client.applyYaml(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules: [{apiGroups: [''], resources: [services], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: default}]
`);
  const token = await server.client.createToken({
    namespace: 'default',
    serviceAccount: 'reader',
    audiences: ['https://kubernetes.default.svc.cluster.local'],
  });
  using reader = server.client.as(token);
  // The API server hears of its own RBAC objects by a watch.
  await waitFor('the right to read', async () => (await reader.request('GET', '/api/v1/services')).status === 200);
  expect((await reader.request('GET', '/api/v1/secrets')).status).toBe(403);
});

test('a token for istio-ca is reviewed as that of its service account, and not for another audience', async () => {
  const token = await server.client.createToken({ namespace: 'default', serviceAccount: 'default' });
  const review = (audience: string) =>
    server.client.request('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [audience] },
    });
  expect((await review('istio-ca')).body.status).toMatchObject({
    authenticated: true,
    user: { username: 'system:serviceaccount:default:default' },
  });
  expect((await review('other')).body.status.authenticated).toBeUndefined();
});

test('a definition is served soon after it is applied', async () => {
  const schema = {
    type: 'object',
    properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
  };
  await server.client.applyAll([
    {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'sails.test.example' },
      spec: {
        group: 'test.example',
        scope: 'Namespaced',
        names: { plural: 'sails', singular: 'sail', kind: 'Sail' },
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }],
      },
    },
    { apiVersion: 'test.example/v1', kind: 'Sail', metadata: { name: 'one' }, spec: { width: 3 } },
  ]);
  expect(await server.client.list('/apis/test.example/v1/sails')).toHaveLength(1);
});

test('controllers make an EndpointSlice of a service and a pod with an address', async () => {
  const metadata = { name: 'web', namespace: 'default', labels: { app: 'web' } };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata };
  await server.client.applyYaml(`
apiVersion: v1
kind: Node
metadata: {name: n}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
`);
  await server.client.apply({ ...pod, spec: { nodeName: 'n', containers: [{ name: 'web', image: 'web' }] } });
  await server.client.applyStatus({
    ...pod,
    status: {
      phase: 'Running',
      podIP: '10.1.2.3',
      podIPs: [{ ip: '10.1.2.3' }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  });
  const path =
    '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name=web';
  const addresses = async () => JSON.stringify(await server.client.list(path)).includes('"10.1.2.3"');
  await waitFor('the EndpointSlice', addresses);
});

test('after a crash it is back on its port with its data', async () => {
  await server.client.apply(configMap('survivor'));
  await server.kill();
  await expect(server.client.get(configMap('survivor'))).rejects.toThrow(/ECONNREFUSED|ECONNRESET|socket hang up/);
  await server.start();
  expect(await server.client.get(configMap('survivor'))).toMatchObject({ metadata: { name: 'survivor' } });
});

test('it is gone with everything it wrote after stop', async () => {
  const other = await startApiServer();
  expect((await other.client.list('/api/v1/namespaces')).length).toBeGreaterThan(0);
  await other.stop();
  expect(existsSync(other.kubeconfig)).toBe(false);
  await expect(other.client.request('GET', '/readyz')).rejects.toThrow('ECONNREFUSED');
});
