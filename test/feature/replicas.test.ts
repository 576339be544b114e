// Replicas side by side on one API server: all kinds of clients get the same of each, and one that moves is sent nothing again.
import { credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { typeUrls } from '../../discovery/xds-types.ts';
import type { TestDiscovery } from '../support/discovery.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { installDefinitions, leastPrivilege, podToken, replica, rootCertificate } from '../support/kubernetes-plane.ts';
import { waitFor } from '../support/wait.ts';
import { selfSigned } from '../support/webhook.ts';
import { sidecarNode } from '../support/xds/client.ts';
import { connect, type GrpcConnection } from '../support/xds/grpc-client.ts';
import { type Visit, Wanderer, type Wanted } from '../support/xds/wanderer.ts';

const variants = ['delta', 'sotw'] as const;
type Variant = (typeof variants)[number];

let server: TestApiServer;
let kubeconfig: string;
let headers: Readonly<Record<string, string>>;
let roots: string;
/** Two that see the mesh change, and a third that comes later and sees only what came of it. */
const planes: TestDiscovery[] = [];
const connections: GrpcConnection[] = [];

const object = (apiVersion: string, kind: string, name: string, spec?: object, more: object = {}): KubeObject => ({
  ...{ apiVersion, kind, metadata: { name, namespace: 'default' } },
  ...(spec === undefined ? {} : { spec }),
  ...more,
});
const mesh = (kind: string, name: string, spec: object): KubeObject =>
  object('networking.istio.io/v1', kind, name, spec);
const security = (kind: string, name: string, spec: object): KubeObject =>
  object('security.istio.io/v1', kind, name, spec);
const service = (name: string, ports: Readonly<Record<string, number>>, more: object = {}): KubeObject =>
  object('v1', 'Service', name, {
    ports: Object.entries(ports).map(([port, number]) => ({ name: port, port: number })),
    ...more,
  });
const slice = (name: string, ports: Readonly<Record<string, number>>, ...addresses: readonly string[]): KubeObject =>
  object('discovery.k8s.io/v1', 'EndpointSlice', `${name}-1`, undefined, {
    metadata: { name: `${name}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: Object.entries(ports).map(([port, number]) => ({ name: port, port: number })),
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
  });
const rule = (name: string, ...subsets: readonly string[]): KubeObject =>
  mesh('DestinationRule', name, {
    host: name,
    trafficPolicy: { connectionPool: { tcp: { maxConnections: 10 + subsets.length } } },
    subsets: subsets.map((subset) => ({ name: subset, labels: { version: subset } })),
  });
const route = (name: string, weights: Readonly<Record<string, number>>, more: object = {}): KubeObject =>
  mesh('VirtualService', name, {
    hosts: [name],
    http: [
      {
        route: Object.entries(weights).map(([subset, weight]) => ({ destination: { host: name, subset }, weight })),
      },
    ],
    ...more,
  });

const certificate = selfSigned('shop.example.com');
const secret = object('v1', 'Secret', 'shop-cert', undefined, {
  type: 'kubernetes.io/tls',
  data: {
    'tls.crt': Buffer.from(certificate.cert).toString('base64'),
    'tls.key': Buffer.from(certificate.key).toString('base64'),
  },
});
const gateway = mesh('Gateway', 'entry', {
  selector: { istio: 'ingressgateway' },
  servers: [
    { hosts: ['*'], port: { number: 8080, name: 'http', protocol: 'HTTP' } },
    {
      hosts: ['shop.example.com'],
      port: { number: 8443, name: 'https', protocol: 'HTTPS' },
      tls: { mode: 'SIMPLE', credentialName: 'shop-cert' },
    },
  ],
});

/** The mesh in the end, in an order that says nothing. */
const world: readonly KubeObject[] = [
  route('web', { v1: 70, v2: 30 }),
  slice('web', { http: 8080, db: 9000 }, '10.1.0.1', '10.1.0.2', '10.1.0.3'),
  mesh('VirtualService', 'shop', {
    hosts: ['shop.example.com'],
    gateways: ['entry'],
    http: [{ match: [{ uri: { prefix: '/api' } }], route: [{ destination: { host: 'web', subset: 'v2' } }] }],
  }),
  service('web', { http: 80, db: 9000 }),
  security('PeerAuthentication', 'strict', { mtls: { mode: 'STRICT' } }),
  mesh('ServiceEntry', 'outside', {
    hosts: ['one.example.com', 'two.example.com'],
    ports: [
      { number: 80, name: 'http', protocol: 'HTTP' },
      { number: 443, name: 'tls', protocol: 'TLS' },
    ],
    resolution: 'DNS',
  }),
  service('echo', { grpc: 7070 }),
  slice('echo', { grpc: 7071 }, '10.1.1.1', '10.1.1.2'),
  rule('web', 'v1', 'v2'),
  mesh('ServiceEntry', 'static', {
    hosts: ['static.example.com'],
    addresses: ['240.1.1.1'],
    ports: [{ number: 9090, name: 'tcp', protocol: 'TCP' }],
    resolution: 'STATIC',
    endpoints: [{ address: '10.9.9.9' }, { address: '10.9.9.8', labels: { version: 'v1' } }],
  }),
  service('peers', { tcp: 5000 }, { clusterIP: 'None' }),
  slice('peers', { tcp: 5000 }, '10.1.2.1', '10.1.2.2'),
  security('AuthorizationPolicy', 'allow', { rules: [{ from: [{ source: { namespaces: ['default', 'shop'] } }] }] }),
  mesh('Sidecar', 'scoped', {
    workloadSelector: { labels: { app: 'scoped' } },
    egress: [{ hosts: ['./web.default.svc.cluster.local'] }],
  }),
  object('networking.istio.io/v1alpha3', 'EnvoyFilter', 'patch', {
    configPatches: [
      {
        applyTo: 'CLUSTER',
        match: { cluster: { service: 'echo.default.svc.cluster.local' } },
        patch: { operation: 'MERGE', value: { connect_timeout: '7s' } },
      },
    ],
  }),
  secret,
  // Of some that are in each other's way the older counts, and of those of one second the first by name.
  mesh('VirtualService', 'web-again', { hosts: ['web'], http: [{ route: [{ destination: { host: 'echo' } }] }] }),
  mesh('DestinationRule', 'web-again', { host: 'web', subsets: [{ name: 'v3', labels: { version: 'v3' } }] }),
  mesh('ServiceEntry', 'outside-again', {
    hosts: ['one.example.com', 'three.example.com'],
    ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
    resolution: 'DNS',
  }),
  mesh('Gateway', 'entry-again', {
    selector: { istio: 'ingressgateway' },
    servers: [{ hosts: ['other.example.com'], port: { number: 8080, name: 'http-again', protocol: 'HTTP' } }],
  }),
  mesh('VirtualService', 'other', {
    hosts: ['other.example.com'],
    gateways: ['entry-again', 'entry'],
    http: [{ route: [{ destination: { host: 'echo', port: { number: 7070 } } }] }],
  }),
  gateway,
];

const web = 'web.default.svc.cluster.local';
const echo = 'echo.default.svc.cluster.local';
const mark = { ISTIO_VERSION: '1.27.0' };

/** A node of a kind, of the pod that the token is of. */
function nodeOf(kind: string, metadata: object, name = 'client') {
  const { id = '', metadata: base } = sidecarNode(name);
  return { id: id.replace('sidecar', kind), metadata: { ...base, SERVICE_ACCOUNT: 'web', ...metadata } };
}

const ingress = { LABELS: { istio: 'ingressgateway' } };
const ofEnvoy: Wanted = {
  cluster: ['*'],
  endpoint: [`outbound|80||${web}`, `outbound|80|v2|${web}`, `outbound|7070||${echo}`],
  listener: ['*'],
};
const ofSidecar: Wanted = { ...ofEnvoy, route: ['7070', '80'] };
const ofGateway: Wanted = {
  ...ofEnvoy,
  route: ['http.8080', 'https.8443.https.entry.default'],
  secret: ['kubernetes://shop-cert'],
};
const ofGrpc: Wanted = {
  cluster: [`outbound|7070||${echo}`],
  endpoint: [`outbound|7070||${echo}`],
  listener: [`${echo}:7070`],
  route: [`outbound|7070||${echo}`],
};
const clients = {
  'a sidecar': { node: nodeOf('sidecar', mark), wanted: ofSidecar },
  'a sidecar that sees little': {
    node: nodeOf('sidecar', { ...mark, LABELS: { app: 'scoped' } }),
    wanted: { cluster: ['*'], endpoint: [`outbound|80|v2|${web}`], listener: ['*'], route: ['80'] },
  },
  'a plain Envoy': { node: nodeOf('sidecar', {}), wanted: ofSidecar },
  'a gateway': { node: nodeOf('router', { ...mark, ...ingress }), wanted: ofGateway },
  'a plain Envoy as gateway': { node: nodeOf('router', ingress), wanted: ofGateway },
  'a proxyless client': { node: nodeOf('sidecar', { GENERATOR: 'grpc' }), wanted: ofGrpc },
} as const;
type Client = keyof typeof clients;
const cases = (Object.keys(clients) as Client[]).flatMap((client) =>
  variants.map((variant) => [client, variant] as const),
);

beforeAll(async () => {
  server = await startApiServer();
  kubeconfig = await leastPrivilege(server);
  await installDefinitions(server);
  await server.client.applyAll([object('v1', 'ServiceAccount', 'web')]);
  await start(0);
  await start(1);
  headers = { authorization: `Bearer ${await podToken(server.client, 'client')}` };
  roots = await rootCertificate(server.client, 'default');
  await buildWorld();
  await start(2);
  for (let i = 0; i < 3; i++) connections.push(connectTo(i));
}, 300_000);
afterAll(async () => {
  for (const connection of connections) connection.close();
  for (const plane of planes) await plane[Symbol.asyncDispose]();
  await server?.stop();
});

async function start(index: number): Promise<void> {
  planes[index] = await replica(kubeconfig, `istiod-${index}`, {
    environment: { ISTIOD_CUSTOM_HOST: 'localhost' },
  });
}

function connectTo(index: number): GrpcConnection {
  const { ports } = planes[index] as TestDiscovery;
  return connect(`localhost:${ports.secureGrpc}`, credentials.createSsl(Buffer.from(roots)));
}

/** The world, by way of others: objects that go, come again, and change several times. */
async function buildWorld(): Promise<void> {
  const passing = [service('gone', { http: 80 }), slice('gone', { http: 80 }, '10.1.9.9'), rule('gone', 'v9')];
  await server.client.applyAll([
    ...passing,
    rule('web', 'v1'),
    route('web', { v1: 100 }),
    service('web', { http: 80 }),
  ]);
  await server.client.applyAll([slice('web', { http: 8080 }, '10.1.0.9'), ...world.slice(0, 4)]);
  for (const each of passing) await server.client.delete(each);
  await server.client.applyAll(world);
  await server.client.delete(rule('web'));
  await server.client.applyAll([rule('web', 'v2', 'v1'), rule('web', 'v1', 'v2')]);
  await waitFor('addresses of the ServiceEntry', async () => {
    const status = (await server.client.get(mesh('ServiceEntry', 'outside', {})))['status'] as
      | { readonly addresses?: readonly object[] }
      | undefined;
    return status?.addresses?.length === 4;
  });
}

function newClient(client: Client, variant: Variant): Wanderer {
  const { node, wanted } = clients[client];
  return new Wanderer(variant, node, wanted);
}

function visit(wanderer: Wanderer, index: number, until?: (visit: Visit) => boolean): Promise<Visit> {
  (planes[index] as TestDiscovery).child.assertRunning();
  return wanderer.visit(connections[index] as GrpcConnection, headers, until);
}

/** What `type name` a client must hold: all that it asked for by name. */
function namedOf(client: Client): readonly string[] {
  return Object.entries(clients[client].wanted as Wanted).flatMap(([type, names]) =>
    (names ?? []).filter((name) => name !== '*').map((name) => `${type} ${name}`),
  );
}

/** Resolves when a replica gives a client what another does. */
async function settle(): Promise<void> {
  const clusters = async (index: number) => {
    const fresh = new Wanderer('delta', clients['a sidecar'].node, ofSidecar);
    await visit(fresh, index);
    return JSON.stringify(fresh.held);
  };
  await waitFor('replicas to know the same', async () => {
    const [first, ...others] = [await clusters(0), await clusters(1), await clusters(2)];
    return others.every((each) => each === first);
  });
}

describe('all replicas', () => {
  test.each(cases)('give %s over %s the same bytes under the same versions', async (client, variant) => {
    await settle();
    const held = [];
    for (let index = 0; index < planes.length; index++) {
      const wanderer = newClient(client, variant);
      await visit(wanderer, index);
      held.push(wanderer.held);
    }
    const names = Object.keys(held[0] ?? {});
    expect(names).toEqual(expect.arrayContaining([...namedOf(client)]));
    if (client !== 'a proxyless client') expect(names.length).toBeGreaterThan(namedOf(client).length + 4);
    expect(held[1]).toEqual(held[0]);
    expect(held[2]).toEqual(held[0]);
  });

  test('give both variants the same', async () => {
    for (const client of Object.keys(clients) as Client[]) {
      const texts = [];
      for (const variant of variants) {
        const wanderer = newClient(client, variant);
        await visit(wanderer, 2);
        texts.push(Object.entries(wanderer.held).map(([name, { text }]) => [name, text]));
      }
      expect(texts[0]?.length).toBeGreaterThanOrEqual(4);
      expect(texts[1]).toEqual(texts[0]);
    }
  }, 60_000);
});

describe('a client that moves', () => {
  test.each(cases)('%s over %s is sent nothing that it has', async (client, variant) => {
    await settle();
    const wanderer = newClient(client, variant);
    await visit(wanderer, 0);
    const { held } = wanderer;
    // Names of the state of the world have no versions of their own: those that it asks for are sent again.
    const again = variant === 'delta' ? [] : [...namedOf(client)].sort();
    for (const index of [1, 2, 0]) {
      expect(await visit(wanderer, index)).toEqual({ sent: again, removed: [] });
      expect(wanderer.held).toEqual(held);
    }
  });

  test.each(variants)(
    'over %s is sent what changed meanwhile',
    async (variant) => {
      await settle();
      const sidecar = newClient('a sidecar', variant);
      const grpc = newClient('a proxyless client', variant);
      await visit(sidecar, 0);
      await visit(grpc, 0);
      const extra = service('extra', { http: 80 });
      const dropIn = `cluster outbound|80||extra.default.svc.cluster.local`;
      await server.client.applyAll([extra, slice('echo', { grpc: 7071 }, '10.1.1.1', '10.1.1.7')]);
      await waitFor('the change', async () => {
        const fresh = newClient('a sidecar', 'delta');
        await visit(fresh, 2);
        return dropIn in fresh.held && fresh.held[`endpoint outbound|7070||${echo}`]?.text !== textOf(sidecar);
      });
      await settle();
      const there = await visit(sidecar, 2);
      const named = [...namedOf('a sidecar')];
      if (variant === 'delta') {
        expect(there).toEqual({ sent: [dropIn, `endpoint outbound|7070||${echo}`, 'route 80'], removed: [] });
        expect((await visit(grpc, 2)).sent).toEqual([`endpoint outbound|7070||${echo}`]);
      } else {
        // Clusters come as a whole; listeners did not change.
        expect(there.sent).toEqual(expect.arrayContaining([dropIn, ...named]));
        expect(there.sent.filter((each) => each.startsWith('listener'))).toEqual([]);
      }
      await server.client.delete(extra);
      await server.client.apply(slice('echo', { grpc: 7071 }, '10.1.1.1', '10.1.1.2'));
      await waitFor('the end of it', async () => {
        const fresh = newClient('a sidecar', 'delta');
        await visit(fresh, 1);
        return !(dropIn in fresh.held);
      });
      await settle();
      const back = await visit(sidecar, 1, () => !(dropIn in sidecar.held));
      if (variant === 'delta') expect(back.removed).toEqual([dropIn]);
    },
    60_000,
  );

  const textOf = (wanderer: Wanderer): string => wanderer.held[`endpoint outbound|7070||${echo}`]?.text ?? '';

  test('with a nonce of another replica neither accepts nor rejects anything', async () => {
    const rejects = async (index: number) => {
      const text = await (planes[index] as TestDiscovery).get('/metrics');
      return text.split('\n').filter((line) => line.startsWith('pilot_total_xds_rejects{'));
    };
    const before = await rejects(1);
    for (const variant of variants) {
      const typeUrl = typeUrls.cluster;
      const { node } = clients['a sidecar'];
      const [first, second] = [0, 1].map((index) => (connections[index] as GrpcConnection).open(variant, headers));
      if (first === undefined || second === undefined) throw new Error('no streams');
      for (const stream of [first, second]) stream[variant]({ node, typeUrl });
      const theirs = await first.next((message) => message.typeUrl === typeUrl);
      const own = await second.next((message) => message.typeUrl === typeUrl);
      expect(own.nonce).not.toBe(theirs.nonce);
      expect(own.version).toBe(theirs.version);
      second[variant]({ typeUrl, responseNonce: theirs.nonce, errorDetail: { code: 13, message: 'no' } });
      second[variant]({ node, typeUrl: typeUrls.nameTable });
      await second.next((message) => message.typeUrl === typeUrls.nameTable);
      first.end();
      second.end();
    }
    expect(await rejects(1)).toEqual(before);
  });

  test.each(variants)('a plain Envoy over %s keeps its certificate until it is given another', async (variant) => {
    const wanderer = new Wanderer(variant, nodeOf('sidecar', {}, 'agentless'), { secret: ['ROOTCA', 'default'] });
    const isWhole = (visit: Visit) => ['secret ROOTCA', 'secret default'].every((each) => visit.sent.includes(each));
    expect(await visit(wanderer, 0, isWhole)).toEqual({ sent: ['secret ROOTCA', 'secret default'], removed: [] });
    const certificates = [wanderer.held['secret default']?.text];
    for (const index of [1, 2, 0]) {
      const there = await visit(wanderer, index, ({ sent }) => sent.includes('secret default'));
      expect(there.removed).toEqual([]);
      // The roots are the same everywhere; only who names versions can be spared them.
      if (variant === 'delta') expect(there.sent).toEqual(['secret default']);
      certificates.push(wanderer.held['secret default']?.text);
    }
    // Each replica has a key of its own, and keeps it for a while.
    expect(new Set(certificates).size).toBe(3);
    expect(certificates[3]).toBe(certificates[0]);
  });
});

test('no replica wants more rights than it has', () => {
  for (const plane of planes) expect(plane.child.output()).not.toMatch(/forbidden/i);
});
