// Ingresses on a real API server: which are served as classes and the mesh change, and the status that a leader writes.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { applyMeshConfig, leastPrivilege, systemNamespace } from '../support/kubernetes-plane.ts';
import { waitFor } from '../support/wait.ts';
import { Follower } from '../support/xds/follower.ts';

let server: TestApiServer;
let plane: TestDiscovery;
/** The gateway, which asks for its routes of plain HTTP. */
let gateway: Follower;

beforeAll(async () => {
  server = await startApiServer();
  plane = await startDiscovery({
    kubeconfig: await leastPrivilege(server),
    environment: { POD_NAME: 'istiod-1' },
  });
  await server.client.apply(gatewayService);
  await server.client.applyStatus(balancedAt('192.0.2.1'));
  const metadata = { NAMESPACE: systemNamespace, CLUSTER_ID: 'Kubernetes', LABELS: { istio: 'ingressgateway' } };
  const id = `router~10.0.0.1~gateway.${systemNamespace}~${systemNamespace}.svc.cluster.local`;
  gateway = new Follower(`127.0.0.1:${plane.ports.grpc}`, { id, metadata }, { route: ['http.80'] });
}, 300_000);
afterAll(async () => {
  gateway?.[Symbol.dispose]();
  await plane?.[Symbol.asyncDispose]();
  await server?.stop();
});

const gatewayService: KubeObject = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'istio-ingressgateway', namespace: systemNamespace },
  spec: { type: 'LoadBalancer', ports: [{ name: 'http', port: 80 }], selector: { istio: 'ingressgateway' } },
};
const balancedAt = (ip: string): KubeObject => ({
  ...gatewayService,
  status: { loadBalancer: { ingress: [{ ip, ipMode: 'VIP' }] } },
});
const ingress = (name: string, over: { readonly class?: string; readonly annotations?: object } = {}): KubeObject => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  metadata: {
    name,
    namespace: 'default',
    ...(over.annotations === undefined ? {} : { annotations: over.annotations }),
  },
  spec: {
    ...(over.class === undefined ? {} : { ingressClassName: over.class }),
    rules: [
      {
        host: `${name}.example.com`,
        http: {
          paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 80 } } } }],
        },
      },
    ],
  },
});
const ingressClass = (name: string, controller: string, annotations: object = {}): KubeObject => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'IngressClass',
  metadata: { name, annotations },
  spec: { controller },
});
const ours = 'istio.io/ingress-controller';
const theirs = 'k8s.io/ingress-nginx';

/** Host names are in the routes' bytes as text. */
const isRouted = (name: string): boolean => gateway.text('route', 'http.80').includes(`${name}.example.com`);
async function pointsOf(name: string): Promise<readonly { readonly ip?: string; readonly hostname?: string }[]> {
  const { status } = await server.client.get(ingress(name));
  const { loadBalancer } = status as { loadBalancer?: { ingress?: readonly { ip?: string }[] } };
  return loadBalancer?.ingress ?? [];
}
const served = (name: string, ip: string) =>
  waitFor(`${name} to be served at ${ip}`, async () => isRouted(name) && (await pointsOf(name))[0]?.ip === ip);
const unserved = (name: string) =>
  waitFor(`${name} not to be served`, async () => !isRouted(name) && (await pointsOf(name)).length === 0);
const setMesh = (mesh: string) => applyMeshConfig(server, mesh);

test('in mode STRICT an Ingress is served by its annotation or its class, and says where', async () => {
  await server.client.apply(ingressClass('mesh', ours));
  await server.client.apply(ingressClass('nginx', theirs));
  await server.client.apply(ingress('annotated', { annotations: { 'kubernetes.io/ingress.class': 'istio' } }));
  await server.client.apply(ingress('plain'));
  await server.client.apply(ingress('other', { class: 'nginx' }));
  await server.client.applyStatus({
    ...ingress('other'),
    status: { loadBalancer: { ingress: [{ hostname: 'theirs.example.com' }] } },
  });
  await server.client.apply(ingress('classed', { class: 'mesh' }));
  await served('annotated', '192.0.2.1');
  await served('classed', '192.0.2.1');
  expect([isRouted('plain'), isRouted('other')]).toEqual([false, false]);
  expect(await pointsOf('plain')).toEqual([]);
});

test('another controller in a class takes its Ingresses away, and gives them back', async () => {
  // The controller of a class cannot be changed; people delete the class and make it anew.
  await server.client.delete(ingressClass('mesh', ours));
  await unserved('classed');
  await server.client.apply(ingressClass('mesh', theirs));
  await server.client.delete(ingressClass('nginx', theirs));
  await server.client.apply(ingressClass('nginx', ours));
  await served('other', '192.0.2.1');
  expect(isRouted('classed')).toBe(false);
  await server.client.delete(ingressClass('mesh', theirs));
  await server.client.apply(ingressClass('mesh', ours));
  await served('classed', '192.0.2.1');
});

test('what another controller says stays', async () => {
  await server.client.delete(ingressClass('nginx', ours));
  await server.client.apply(ingressClass('nginx', theirs));
  await unserved('other');
  await server.client.applyStatus({
    ...ingress('other'),
    status: { loadBalancer: { ingress: [{ hostname: 'theirs.example.com' }] } },
  });
});

test('in mode DEFAULT those without a class are served too, in mode OFF none', async () => {
  await setMesh('ingressControllerMode: DEFAULT');
  await served('plain', '192.0.2.1');
  await setMesh('ingressControllerMode: OFF');
  for (const name of ['plain', 'annotated', 'classed']) await unserved(name);
  await setMesh('ingressControllerMode: STRICT');
  await served('annotated', '192.0.2.1');
  await unserved('plain');
});

test('the default class is the one that the API server writes into new Ingresses', async () => {
  const isDefault = { 'ingressclass.kubernetes.io/is-default-class': 'true' };
  await server.client.apply(ingressClass('mesh', ours, isDefault));
  // Its admission hears of the class by a watch of its own.
  const path = '/apis/networking.k8s.io/v1/namespaces/default/ingresses?dryRun=All';
  await waitFor('the default class to be known', async () => {
    const { body } = await server.client.request('POST', path, ingress('defaulted'));
    return body.spec?.ingressClassName === 'mesh';
  });
  await server.client.apply(ingress('defaulted'));
  await served('defaulted', '192.0.2.1');
  expect(isRouted('plain')).toBe(false);
});

test('the status follows the Service of the gateway, and who edits it', async () => {
  await server.client.applyStatus(balancedAt('192.0.2.2'));
  for (const name of ['annotated', 'classed']) await served(name, '192.0.2.2');
  await server.client.merge(gatewayService, { spec: { externalIPs: ['192.0.2.9'] } });
  const both = [{ ip: '192.0.2.2' }, { ip: '192.0.2.9' }];
  await waitFor('both addresses', async () => JSON.stringify(await pointsOf('annotated')) === JSON.stringify(both));
  await server.client.applyStatus({
    ...ingress('annotated'),
    status: { loadBalancer: { ingress: [{ ip: '192.0.2.77' }] } },
  });
  await waitFor(
    'the edit to be undone',
    async () => JSON.stringify(await pointsOf('annotated')) === JSON.stringify(both),
  );
});

test('another writer who never gives in is left the status, with a finding, until another one is due', async () => {
  const theirs = [{ ip: '192.0.2.77' }];
  const edit = () =>
    server.client.applyStatus({ ...ingress('classed'), status: { loadBalancer: { ingress: theirs } } });
  const findings = async () => {
    const page = JSON.parse(await plane.get('/debug/status')) as {
      readonly findings: readonly { readonly code: string; readonly object?: { readonly name: string } }[];
    };
    return page.findings.map(({ code, object }) => `${code} ${object?.name}`);
  };
  await waitFor('it to give in', async () => {
    if ((await pointsOf('classed'))[0]?.ip !== '192.0.2.77') await edit();
    return (await findings()).includes('contested-object classed');
  });
  expect(await pointsOf('classed')).toEqual(theirs);
  expect((await pointsOf('annotated')).length).toBe(2);
  await server.client.merge(gatewayService, { spec: { externalIPs: null } });
  await served('classed', '192.0.2.2');
  await waitFor('the finding to go', async () => (await findings()).length === 0);
});

test('without a Service it is the nodes of running gateway pods', async () => {
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'edge-1' } };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'gateway-1', namespace: systemNamespace } };
  await server.client.apply(node);
  await server.client.applyStatus({
    ...node,
    status: {
      addresses: [
        { type: 'InternalIP', address: '10.0.0.1' },
        { type: 'ExternalIP', address: '192.0.2.3' },
      ],
    },
  });
  await server.client.apply({
    ...pod,
    metadata: { ...pod.metadata, labels: { istio: 'edge' } },
    spec: { nodeName: 'edge-1', containers: [{ name: 'istio-proxy', image: 'x' }] },
  });
  await setMesh('ingressService: ""\ningressSelector: edge');
  const addressesOf = async () =>
    (await Promise.all(['annotated', 'classed'].map(pointsOf))).flat().map(({ ip }) => ip);
  await waitFor('no address while no pod runs', async () => (await addressesOf()).length === 0);
  await server.client.applyStatus({
    ...pod,
    status: { phase: 'Running', podIP: '10.9.9.9', podIPs: [{ ip: '10.9.9.9' }] },
  });
  await waitFor('the address of its node', async () => (await addressesOf()).join() === '192.0.2.3,192.0.2.3');
  await setMesh('{}');
  await served('annotated', '192.0.2.2');
});

test('one replica leads, by the name of istiod’s lock; nothing was refused, and nobody else’s status was touched', async () => {
  const lease = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'istio-leader', namespace: systemNamespace },
  };
  const { spec } = await server.client.get(lease);
  expect((spec as { holderIdentity?: string }).holderIdentity).toBe('istiod-1');
  expect(plane.child.output()).not.toMatch(/forbidden/i);
  expect(await pointsOf('other')).toEqual([{ hostname: 'theirs.example.com' }]);
  await server.client.delete(ingress('classed'));
  await waitFor('its routes to go', () => !isRouted('classed'));
});
