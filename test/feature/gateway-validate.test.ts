// A real Envoy accepts what gateways get, however odd their Gateways and VirtualServices are: one bad server hurts no other.
import { expect, test } from 'vitest';
import { defaultMeshConfig } from '../../config/mesh.ts';
import { findResource, listResources, routeNamesOf } from '../../discovery/dump.ts';
import type { Proxy } from '../../discovery/proxy/proxy.ts';
import { type ResourceSet, validateAll } from '../support/envoy-validate.ts';
import { randomOf } from '../support/random.ts';
import { connect, graphOf, jsonOf, testFacts } from '../support/world.ts';

type Raw = Parameters<typeof graphOf>[0][number] & { readonly spec?: object };

const worlds = 100;

const hosts = [
  'a.example.com',
  'A.Example.com',
  '*.example.com',
  '*',
  'shop/a.example.com',
  './d.example.com',
  '*.COM',
  '',
];
const ruleHosts = ['a.example.com', 'A.example.COM', '*.example.com', '*', 'c.example.com', 'web', '10.0.0.9'];
const serverNames = ['a.example.com', '*.example.com', 'A.example.com', '*', '*bad.com', 'x.y.example.com'];
const protocols = [
  'HTTP',
  'HTTPS',
  'HTTPS',
  'GRPC',
  'GRPC-WEB',
  'TLS',
  'TLS',
  'TCP',
  'MONGO',
  'http',
  'UDP',
  'odd',
  '',
];
const modes = [undefined, 'PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'AUTO_PASSTHROUGH', 'ISTIO_MUTUAL', 'OPTIONAL_MUTUAL'];
const versions = [undefined, 'TLS_AUTO', 'TLSV1_0', 'TLSV1_2', 'TLSV1_3'];

const services: readonly Raw[] = [
  object('v1', 'Service', 'web', 'shop', { clusterIP: '10.1.1.1', ports: [{ name: 'http', port: 80 }] }),
  object('v1', 'Service', 'db', 'shop', { clusterIP: '10.1.1.2', ports: [{ name: 'tcp', port: 5432 }] }),
];

const gateway: Proxy = {
  nodeId: 'router~10.0.0.1~gw.edge~edge.svc.cluster.local',
  flavour: 'gateway',
  ipAddresses: ['10.0.0.1'],
  workload: { name: 'gw', namespace: 'edge' },
  namespace: 'edge',
  dnsDomain: 'edge.svc.cluster.local',
  labels: { istio: 'ingress' },
  serviceAccount: 'gw',
  cluster: 'Kubernetes',
  network: '',
  nodeName: '',
  locality: { region: '', zone: '', subzone: '' },
  interception: 'REDIRECT',
  capabilities: { istioFilters: false, agentSds: false, internalListeners: false },
  settings: {},
};

test('Envoy accepts every listener and route of random gateways', async () => {
  const sets = new Map<string, ResourceSet>();
  for (let seed = 1; seed <= worlds; seed++) {
    const graph = graphOf([...services, ...worldOf(seed)], defaultMeshConfig, testFacts);
    const client = connect(graph, gateway);
    const listeners = listResources(graph, client, 'listener').map(jsonOf);
    const routes = routeNamesOf(listeners).flatMap((name) => {
      const route = findResource(graph, client, 'route', name);
      return route === undefined ? [] : [jsonOf(route)];
    });
    if (listeners.length > 0) sets.set(`world ${seed}`, { listeners, routes });
  }
  expect(sets.size).toBeGreaterThan(worlds / 2);
  expect(Object.fromEntries(await validateAll(sets))).toEqual({});
}, 120_000);

/** Up to three Gateways and as many VirtualServices, with values that validation would refuse among the good ones. */
function worldOf(seed: number): readonly Raw[] {
  const random = randomOf(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const some = <T>(most: number, make: () => T): T[] => Array.from({ length: Math.floor(random() * (most + 1)) }, make);
  const tls = () => ({
    mode: pick(modes),
    minProtocolVersion: pick(versions),
    maxProtocolVersion: pick(versions),
    cipherSuites: some(2, () => pick(['ECDHE-RSA-AES128-GCM-SHA256', 'BOGUS'])),
    credentialName: pick([undefined, 'cred', 'ns/cred', 'sds://x', '']),
    httpsRedirect: random() < 0.2,
    subjectAltNames: pick([undefined, undefined, ['x'], ['']]),
    verifyCertificateHash: pick([undefined, undefined, ['a'.repeat(64)], ['zz']]),
    verifyCertificateSpki: pick([undefined, undefined, undefined, ['bad']]),
  });
  const server = () => ({
    port: portOf(),
    hosts: some(3, () => pick(hosts)),
    bind: pick([undefined, undefined, undefined, '', '10.0.0.7', '::1', 'not an address']),
    tls: random() < 0.4 ? undefined : tls(),
  });
  const portOf = () => ({
    number: pick([80, 443, 443, 443, 5432, 0, 70_000]),
    name: pick(['http', 'https', 'x', '']),
    protocol: pick(protocols),
  });
  const route = () => ({
    destination: { host: pick(['web', 'db', 'nowhere.com', '']), subset: pick([undefined, 'v1']) },
    weight: pick([undefined, 0, 10, 90]),
  });
  const match = () => ({
    port: pick([undefined, undefined, 443, 80]),
    sniHosts: some(3, () => pick(serverNames)),
    gateways: pick([undefined, undefined, ['edge/g0'], ['mesh']]),
  });
  const routes = () => ({
    hosts: some(3, () => pick(ruleHosts)),
    gateways: some(3, () => pick(['edge/g0', 'edge/g1', 'edge/g2'])),
    http: some(1, () => ({ match: some(1, () => ({ uri: { prefix: pick(['/', '/a']) } })), route: some(2, route) })),
    tls: some(2, () => ({ match: some(2, match), route: some(2, route) })),
    tcp: some(1, () => ({ match: some(1, () => ({ port: pick([443, 5432]) })), route: some(2, route) })),
  });
  const gateways = Array.from({ length: 3 }, (_, i) =>
    rule('Gateway', `g${i}`, 'edge', { selector: { istio: 'ingress' }, servers: some(4, server) }),
  );
  return [...gateways, ...some(3, routes).map((spec, i) => rule('VirtualService', `v${i}`, 'shop', spec))];
}

function object(apiVersion: string, kind: string, name: string, namespace: string, spec: object): Raw {
  // Fields that are undefined would not be there in an object that was read.
  return JSON.parse(JSON.stringify({ apiVersion, kind, metadata: { name, namespace }, spec })) as Raw;
}

function rule(kind: string, name: string, namespace: string, spec: object): Raw {
  return object('networking.istio.io/v1', kind, name, namespace, spec);
}
