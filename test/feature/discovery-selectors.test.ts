// discoverySelectors on a real API server: what a connected proxy is sent as namespaces gain and lose labels and as the
// mesh configuration changes.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { applyMeshConfig, installDefinitions, leastPrivilege } from '../support/kubernetes-plane.ts';
import { waitFor } from '../support/wait.ts';
import { sidecarNode } from '../support/xds/client.ts';
import { Follower } from '../support/xds/follower.ts';

let server: TestApiServer;
let plane: TestDiscovery;
let proxy: Follower;

const namespace = (name: string, labels: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels },
});
const label = (name: string, value: string | null) =>
  server.client.merge(namespace(name), { metadata: { labels: { mesh: value } } });
const service = (name: string, ports: readonly number[] = [80]): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: name },
  spec: { ports: ports.map((port) => ({ name: `http-${port}`, port, targetPort: 8080 })) },
});
const hostOf = (name: string): string => `web.${name}.svc.cluster.local`;
const clusterOf = (name: string, port = 80): string => `outbound|${port}||${hostOf(name)}`;
const addresses = { red: '10.1.1.1', blue: '10.1.2.1', late: '10.1.3.1' } as const;
type Name = keyof typeof addresses;
const names = Object.keys(addresses) as readonly Name[];

/** A service with an endpoint, and a route and a rule of its own. */
function furnished(name: Name): readonly KubeObject[] {
  const own = (apiVersion: string, kind: string, rest: object): KubeObject => ({
    ...{ apiVersion, kind, metadata: { name: 'web', namespace: name } },
    ...rest,
  });
  const route = { route: [{ destination: { host: 'web' } }], headers: { request: { set: { 'x-from': name } } } };
  return [
    service(name),
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'web-1', namespace: name, labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [addresses[name]], conditions: { ready: true } }],
      ports: [{ name: 'http-80', port: 8080 }],
    },
    own('networking.istio.io/v1', 'VirtualService', { spec: { hosts: ['web'], http: [route] } }),
    own('networking.istio.io/v1', 'ServiceEntry', {
      spec: {
        hosts: [`${name}.example.com`],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        resolution: 'DNS',
      },
    }),
  ];
}

const configure = (mesh: string) => applyMeshConfig(server, mesh);

beforeAll(async () => {
  server = await startApiServer();
  const kubeconfig = await leastPrivilege(server);
  await installDefinitions(server);
  // Kubernetes' own Service is in the mesh all the time.
  await server.client.apply(namespace('default', { mesh: 'on' }));
  await server.client.apply(namespace('red', { mesh: 'on' }));
  await server.client.apply(namespace('blue'));
  await server.client.applyAll([...furnished('red'), ...furnished('blue')]);
  plane = await startDiscovery({ kubeconfig });
  // The client's own namespace does not matter to what it is sent of others.
  proxy = new Follower(`127.0.0.1:${plane.ports.grpc}`, sidecarNode('app', 'client'), {
    ...{ cluster: ['*'], listener: ['*'] },
    endpoint: names.map((name) => clusterOf(name)),
    route: ['80'],
  });
}, 300_000);
afterAll(async () => {
  proxy?.[Symbol.dispose]();
  await plane?.[Symbol.asyncDispose]();
  await server?.stop();
});

/** What the proxy holds of a namespace: its clusters, endpoints and routes; all or none of them once it has settled. */
function heldOf(name: Name): readonly string[] {
  const routes = proxy.text('route', '80');
  const held: Readonly<Record<string, boolean>> = {
    cluster: proxy.names('cluster').includes(clusterOf(name)),
    'external cluster': proxy.names('cluster').includes(`outbound|80||${name}.example.com`),
    endpoint: proxy.text('endpoint', clusterOf(name)).includes(addresses[name]),
    'virtual host': routes.includes(hostOf(name)),
    route: routes.includes('x-from') && new RegExp(`x-from\\W+${name}`).test(routes),
  };
  return Object.keys(held).filter((one) => held[one]);
}
const everything = ['cluster', 'external cluster', 'endpoint', 'virtual host', 'route'];

async function holds(...expected: readonly Name[]): Promise<void> {
  const seen = () => Object.fromEntries(names.map((name) => [name, heldOf(name)]));
  const wanted = Object.fromEntries(names.map((name) => [name, expected.includes(name) ? everything : []]));
  await expect.poll(seen, { timeout: 15_000, interval: 25 }).toEqual(wanted);
}

test('without selectors everything is sent, with them only what is selected; the rest stays as it was', async () => {
  await holds('red', 'blue');
  const before = proxy.versions();
  const sent = proxy.timesSent('cluster', clusterOf('red'));
  await configure('discoverySelectors: [{ matchLabels: { mesh: "on" } }]');
  await holds('red');
  await label('blue', 'on');
  await holds('red', 'blue');
  expect(proxy.versions()).toEqual(before);
  expect(proxy.timesSent('cluster', clusterOf('red'))).toBe(sent);
});

test('what changes in a namespace meanwhile is there when it comes back', async () => {
  await label('blue', null);
  await holds('red');
  await server.client.apply(service('blue', [80, 81]));
  await server.client.merge(service('red'), { metadata: { labels: { note: 'x' } } });
  expect(heldOf('blue')).toEqual([]);
  await label('blue', 'on');
  await holds('red', 'blue');
  await waitFor('the port', () => proxy.names('cluster').includes(clusterOf('blue', 81)));
});

test('one namespace goes as another comes, and a new one comes as it is', async () => {
  await label('red', 'off');
  await holds('blue');
  await server.client.apply(namespace('late', { mesh: 'on' }));
  await server.client.applyAll(furnished('late'));
  await holds('blue', 'late');
  await Promise.all([label('red', 'on'), label('late', null)]);
  await holds('red', 'blue');
});

test('selectors change while it runs; broken ones leave the last good in force', async () => {
  await configure(
    'discoverySelectors: [{ matchExpressions: [{ key: mesh, operator: DoesNotExist }] }, { matchLabels: { kubernetes.io/metadata.name: red } }]',
  );
  await holds('red', 'late');
  await configure('discoverySelectors: [{ matchLabels: 7 }]');
  await waitFor('the finding', async () => (await plane.get('/debug/status')).includes('kept-last-good'));
  await holds('red', 'late');
  await configure('discoverySelectors: [{ matchLabels: { kubernetes.io/metadata.name: blue } }]');
  await holds('blue');
  await configure('accessLogFile: /dev/stdout');
  await holds('red', 'blue', 'late');
  expect(plane.child.running).toBe(true);
});
