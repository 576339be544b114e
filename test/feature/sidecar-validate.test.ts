// A real Envoy accepts what sidecars get, whatever the protocols, modes and rules of the mesh are.
import { expect, test } from 'vitest';
import { defaultMeshConfig, type MeshConfig } from '../../config/mesh.ts';
import { findResource, listResources, routeNamesOf } from '../../discovery/dump.ts';
import type { Proxy } from '../../discovery/proxy/proxy.ts';
import { validateAll } from '../support/envoy-validate.ts';
import { connect, graphOf, jsonOf, testFacts } from '../support/world.ts';

type Raw = Parameters<typeof graphOf>[0][number] & { readonly spec?: object; readonly status?: object };

const object = (apiVersion: string, kind: string, name: string, namespace: string, spec: object): Raw => ({
  apiVersion,
  kind,
  metadata: { name, namespace },
  spec,
});
const rule = (kind: string, name: string, spec: object): Raw =>
  object('networking.istio.io/v1', kind, name, 'shop', spec);
const peers = (mode: string): Raw =>
  object('security.istio.io/v1', 'PeerAuthentication', 'p', 'shop', { mtls: { mode } });

const protocols = ['http', 'http2', 'grpc', 'grpc-web', 'https', 'tls', 'tcp', 'mongo', 'mysql', 'redis', 'odd'];
const services: readonly Raw[] = [
  object('v1', 'Service', 'web', 'shop', {
    clusterIP: '10.1.0.1',
    selector: { app: 'web' },
    ports: protocols.map((name, i) => ({ name, port: 1000 + i, targetPort: 2000 + i })),
  }),
  object('v1', 'Service', 'api', 'back', { clusterIP: '10.1.0.2', ports: [{ name: 'http', port: 80 }] }),
  object('v1', 'Service', 'alias', 'back', { type: 'ExternalName', externalName: 'api.back.svc.cluster.local' }),
  {
    ...object('v1', 'Pod', 'web', 'shop', { containers: [{ name: 'c' }], serviceAccountName: 'web' }),
    metadata: { name: 'web', namespace: 'shop', labels: { app: 'web' } },
    status: { podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }], phase: 'Running' },
  },
];

const routes = rule('VirtualService', 'routes', {
  hosts: ['api.back.svc.cluster.local', '*.example.com', 'other.example.com'],
  http: [
    {
      match: [
        { uri: { regex: '/r/.*' }, headers: { a: { regex: 'x+' } }, queryParams: { q: { regex: 'y' } } },
        { uri: { exact: '/e' }, withoutHeaders: { b: {} }, ignoreUriCase: true, statPrefix: 'e' },
      ],
      route: [
        { destination: { host: 'api.back.svc.cluster.local', subset: 'v1' }, weight: 30 },
        { destination: { host: 'api.back.svc.cluster.local' }, weight: 70, headers: { request: { set: { h: '1' } } } },
      ],
      fault: { delay: { fixedDelay: '1s', percentage: { value: 0.1 } }, abort: { grpcStatus: 'NOT_FOUND' } },
      corsPolicy: { allowOrigins: [{ regex: '.*' }], allowMethods: ['GET'], maxAge: '24h' },
      mirrors: [{ destination: { host: 'api.back.svc.cluster.local' }, percentage: { value: 50 } }],
      retries: { attempts: 2, retryOn: '5xx,503', perTryTimeout: '1s', backoff: '50ms', retryRemoteLocalities: true },
      timeout: '5s',
    },
    { match: [{ uri: { prefix: '/go' } }], redirect: { uri: '/there', authority: 'x.com', redirectCode: 307 } },
    { match: [{ uri: { prefix: '/tea' } }], directResponse: { status: 418, body: { string: 'tea' } } },
    {
      match: [{ uri: { prefix: '/rewrite' } }],
      rewrite: { uriRegexRewrite: { match: '/rewrite/(.*)', rewrite: '/\\1' }, authority: 'z.com' },
      route: [{ destination: { host: 'api.back.svc.cluster.local' } }],
    },
    { route: [{ destination: { host: 'missing.example.com', port: { number: 8080 } } }] },
  ],
});

const streams: readonly Raw[] = [
  rule('ServiceEntry', 'wide', {
    hosts: ['tls.example.com', '*.wild.example.com'],
    ports: [
      { number: 443, name: 'tls', protocol: 'TLS' },
      { number: 5000, name: 'tcp', protocol: 'TCP' },
    ],
    addresses: ['192.0.2.0/24', '2001:db8::/32'],
    resolution: 'NONE',
  }),
  rule('ServiceEntry', 'dynamic', {
    hosts: ['*.dynamic.example.com'],
    ports: [
      { number: 8443, name: 'tls', protocol: 'TLS' },
      { number: 8080, name: 'http', protocol: 'HTTP' },
    ],
    resolution: 'DYNAMIC_DNS',
  }),
  rule('VirtualService', 'streams', {
    hosts: ['tls.example.com'],
    tls: [{ match: [{ sniHosts: ['tls.example.com'] }], route: [{ destination: { host: 'tls.example.com' } }] }],
    tcp: [
      {
        match: [{ port: 5000, destinationSubnets: ['192.0.2.7/32'] }],
        route: [
          { destination: { host: 'tls.example.com' }, weight: 50 },
          { destination: { host: 'api.back.svc.cluster.local', port: { number: 80 } }, weight: 50 },
        ],
      },
    ],
  }),
  rule('DestinationRule', 'hash', {
    host: 'api.back.svc.cluster.local',
    subsets: [{ name: 'v1', labels: { version: 'v1' } }],
    trafficPolicy: { loadBalancer: { consistentHash: { httpCookie: { name: 'c', ttl: '1s' } } } },
  }),
];

/** Two services without addresses whose rules claim one server name both: Envoy would refuse two chains with it. */
const rivals: readonly Raw[] = ['a', 'b'].flatMap((name) => [
  rule('ServiceEntry', name, {
    hosts: [`${name}.tls.example.com`],
    ports: [{ number: 9443, name: 'tls', protocol: 'TLS' }],
    resolution: 'DNS',
  }),
  rule('VirtualService', name, {
    hosts: [`${name}.tls.example.com`],
    tls: [
      {
        match: [{ sniHosts: [`${name}.tls.example.com`, 'shared.example.com'] }],
        route: [{ destination: { host: `${name}.tls.example.com` } }],
      },
    ],
  }),
]);

const sidecar = rule('Sidecar', 'own', {
  egress: [
    {
      port: { number: 9080, protocol: 'HTTP_PROXY', name: 'p' },
      bind: '127.0.0.1',
      captureMode: 'NONE',
      hosts: ['*/*'],
    },
    { hosts: ['./*', 'back/*'] },
  ],
  ingress: [{ port: { number: 2000, protocol: 'HTTP', name: 'h' }, defaultEndpoint: '127.0.0.1:2000' }],
  outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' },
});

const plain: Proxy = {
  nodeId: 'sidecar~10.0.0.1~web.shop~shop.svc.cluster.local',
  flavour: 'sidecar',
  ipAddresses: ['10.0.0.1'],
  workload: { name: 'web', namespace: 'shop' },
  namespace: 'shop',
  dnsDomain: 'shop.svc.cluster.local',
  labels: { app: 'web' },
  serviceAccount: 'web',
  cluster: 'Kubernetes',
  network: '',
  nodeName: '',
  locality: { region: '', zone: '', subzone: '' },
  interception: 'REDIRECT',
  capabilities: { istioFilters: false, agentSds: false, internalListeners: false },
  settings: { http10: true, httpProxyPort: 15007 },
};

function setOf(items: readonly Raw[], mesh: Partial<MeshConfig> = {}, over: Partial<Proxy> = {}) {
  const graph = graphOf([...services, ...items], { ...defaultMeshConfig, ...mesh }, testFacts);
  const client = connect(graph, { ...plain, ...over });
  const listeners = listResources(graph, client, 'listener').map(jsonOf);
  const named = routeNamesOf(listeners).map((name) => findResource(graph, client, 'route', name));
  return { listeners, routes: named.flatMap((route) => (route === undefined ? [] : [jsonOf(route)])) };
}

test('Envoy accepts the listeners and routes of sidecars', async () => {
  const sets = new Map([
    ['protocols, permissive', setOf([])],
    ['protocols, strict', setOf([peers('STRICT')])],
    ['protocols, plain text', setOf([peers('DISABLE')])],
    ['every kind of route', setOf([routes, ...streams])],
    ['rivals for a server name', setOf(rivals)],
    ['a Sidecar', setOf([routes, ...streams, sidecar])],
    ['unknown hosts by name', setOf(streams, { outboundTrafficPolicy: { mode: 'ALLOW_ANY_DYNAMIC_DNS' } })],
    ['transparent', setOf([], {}, { interception: 'TPROXY' })],
    ['without capture', setOf(streams, {}, { interception: 'NONE' })],
    ['two address families', setOf(streams, {}, { ipAddresses: ['10.0.0.1', '2001:db8::1'] })],
    ['a JSON access log', setOf([], { accessLogFile: '/dev/null', accessLogEncoding: 'JSON' })],
    ['slashes', setOf([], { pathNormalization: { normalization: 'DECODE_AND_MERGE_SLASHES' } })],
  ]);
  for (const [name, { listeners, routes: found }] of sets) {
    expect(listeners.length, name).toBeGreaterThan(5);
    expect(found.length, name).toBeGreaterThan(2);
  }
  expect(Object.fromEntries(await validateAll(sets))).toEqual({});
});
