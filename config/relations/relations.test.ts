// Relations of each kind, one case each.

import { describe, expect, test } from 'vitest';
import { fc } from '../../test/support/property.ts';
import { checkObject } from '../check.ts';
import type { AnyObject } from '../kinds/kinds.ts';
import { defaultMeshConfig } from '../mesh.ts';
import { keyOf } from '../object.ts';
import { isNear, relate, relatedKinds } from './relations.ts';
import { type ObjectView, surroundingsOf } from './view.ts';

const versions: Readonly<Record<string, string>> = {
  Service: 'v1',
  Pod: 'v1',
  Secret: 'v1',
  PeerAuthentication: 'security.istio.io/v1',
  AuthorizationPolicy: 'security.istio.io/v1',
  Telemetry: 'telemetry.istio.io/v1',
  WasmPlugin: 'extensions.istio.io/v1alpha1',
};

function objectOf(kind: string, key: string, spec: object = {}, meta: object = {}): AnyObject {
  const [namespace, name] = key.split('/');
  const apiVersion = versions[kind] ?? 'networking.istio.io/v1';
  const { object, diagnostics } = checkObject({ apiVersion, kind, metadata: { name, namespace, ...meta }, spec });
  if (object === undefined) throw new Error(JSON.stringify(diagnostics));
  return object;
}

function viewOf(objects: readonly AnyObject[]): ObjectView {
  return {
    get: (kind, key) => objects.find((object) => object.kind === kind && keyOf(object.metadata) === key) as never,
    list: (kind) => objects.filter((object) => object.kind === kind) as never,
  };
}

const surroundings = [
  objectOf('Service', 'ns/reviews', { ports: [{ port: 80 }, { port: 9090 }] }),
  objectOf('ServiceEntry', 'ns/external', { hosts: ['*.example.com'], ports: [{ number: 443 }] }),
  objectOf('DestinationRule', 'ns/reviews', { host: 'reviews', subsets: [{ name: 'v1' }, { name: 'v2' }] }),
  objectOf('Gateway', 'edge/public'),
  objectOf('Pod', 'edge/gateway-1', {}, { labels: { app: 'gateway' } }),
  objectOf('Secret', 'edge/cert'),
  objectOf('VirtualService', 'ns/mesh', { hosts: ['reviews.ns.svc.cluster.local'] }),
  objectOf('PeerAuthentication', 'ns/default', {}),
  objectOf('Service', 'ns/vms', { clusterIP: '10.96.0.1', selector: { app: 'vm' } }),
  objectOf('Service', 'ns/headless', { clusterIP: 'None', selector: { app: 'vm' } }),
  objectOf('ServiceEntry', 'ns/static', {
    hosts: ['static.example.org'],
    resolution: 'STATIC',
    workloadSelector: { labels: { app: 'vm', tier: 'a' } },
  }),
  objectOf('ServiceEntry', 'ns/dns', {
    hosts: ['dns.example.org'],
    resolution: 'DNS',
    workloadSelector: { labels: { app: 'vm' } },
  }),
  objectOf('Sidecar', 'ns/selected', { workloadSelector: { labels: { a: 'b' } } }),
];

function findingsOf(kind: string, spec: object): readonly string[] {
  const around = surroundingsOf(viewOf(surroundings), defaultMeshConfig, 'cluster.local');
  return relate(objectOf(kind, 'ns/new', spec), around).map(({ severity, code, path, message, help }) => {
    expect(severity).toBe('warning');
    return `${code} ${path}: ${message}${help === undefined ? '' : ` (${help})`}`;
  });
}

const to = (destination: object) => ({ hosts: ['a.b'], http: [{ route: [{ destination }] }] });

describe('nothing to say', () => {
  test.each([
    ['VirtualService', to({ host: 'reviews', subset: 'v2', port: { number: 9090 } })],
    ['VirtualService', to({ host: 'Reviews.ns.svc.cluster.local' })],
    ['VirtualService', to({ host: 'www.example.com', port: { number: 443 } })],
    [
      'VirtualService',
      { hosts: ['reviews'], gateways: ['edge/public'], tcp: [{ route: [{ destination: { host: 'reviews' } }] }] },
    ],
    ['VirtualService', { hosts: ['a.b'], gateways: ['public.edge.svc.cluster.local', 'mesh'], tcp: [] }],
    ['Gateway', { selector: { app: 'gateway' }, servers: [{ tls: { credentialName: 'cert' } }] }],
    ['Gateway', { servers: [{ tls: { credentialName: 'nowhere' } }] }],
    ['DestinationRule', { host: 'reviews', subsets: [{ name: 'v3' }] }],
    ['DestinationRule', { host: '*.local' }],
    ['PeerAuthentication', { selector: { matchLabels: { a: 'b' } } }],
    ['Sidecar', {}],
    ['AuthorizationPolicy', { targetRefs: [{ kind: 'Service', name: 'reviews' }] }],
    ['AuthorizationPolicy', { targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'any' }] }],
    ['Telemetry', { tracing: [{ providers: [{ name: 'envoy' }] }] }],
    ['ServiceEntry', { hosts: ['a.b'] }],
    ['ServiceEntry', { hosts: ['reviews.other.svc.cluster.local', '*.ns.svc.cluster.local', 'reviews'] }],
    ['WorkloadEntry', { address: '10.8.0.1', labels: { app: 'vm' } }],
    ['WorkloadEntry', { network: 'far', labels: { app: 'vm' } }],
    ['WorkloadEntry', { address: 'vm.example.com', labels: { app: 'other', tier: 'a' } }],
  ])('%s %j', (kind, spec) => {
    expect(findingsOf(kind, spec)).toEqual([]);
  });
});

describe('missing', () => {
  test.each([
    [
      'VirtualService',
      to({ host: 'review' }),
      'spec.http[0].route[0].destination.host',
      'host review.ns.svc.cluster.local',
    ],
    [
      'VirtualService',
      to({ host: 'reviews.other.svc.cluster.local' }),
      'spec.http[0].route[0].destination.host',
      'does not exist',
    ],
    [
      'VirtualService',
      to({ host: 'reviews', subset: 'v9' }),
      'spec.http[0].route[0].destination.subset',
      'there are v1, v2',
    ],
    [
      'VirtualService',
      to({ host: 'www.example.com', subset: 'v1' }),
      'spec.http[0].route[0].destination.subset',
      'DestinationRule defines',
    ],
    [
      'VirtualService',
      to({ host: 'reviews', port: { number: 81 } }),
      'spec.http[0].route[0].destination.port.number',
      'it has 80, 9090',
    ],
    ['VirtualService', { gateways: ['public'] }, 'spec.gateways[0]', 'Gateway ns/public'],
    ['VirtualService', { gateways: ['edge/publik'] }, 'spec.gateways[0]', 'did you mean edge/public?'],
    ['VirtualService', { http: [{ mirror: { host: 'x' } }] }, 'spec.http[0].mirror.host', 'x.ns.svc'],
    [
      'VirtualService',
      { http: [{ mirrors: [{ destination: { host: 'x' } }] }] },
      'spec.http[0].mirrors[0].destination.host',
      'x.ns.svc',
    ],
    [
      'VirtualService',
      { tls: [{ route: [{ destination: { host: 'x' } }] }] },
      'spec.tls[0].route[0].destination.host',
      'x.ns.svc',
    ],
    ['Gateway', { selector: { app: 'x' } }, 'spec.selector', 'a pod'],
    [
      'Gateway',
      { selector: { app: 'gateway' }, servers: [{ tls: { credentialName: 'x' } }] },
      'spec.servers[0].tls.credentialName',
      'Secret x in namespace edge',
    ],
    [
      'Gateway',
      { selector: { app: 'gateway' }, servers: [{ tls: { credentialNames: ['cert', 'x'] } }] },
      'spec.servers[0].tls.credentialNames[1]',
      'Secret x',
    ],
    ['DestinationRule', { host: 'x' }, 'spec.host', 'x.ns.svc'],
    ['AuthorizationPolicy', { targetRefs: [{ kind: 'Service', name: 'x' }] }, 'spec.targetRefs[0]', 'Service ns/x'],
    [
      'AuthorizationPolicy',
      { action: 'CUSTOM', provider: { name: 'x' } },
      'spec.provider.name',
      'extension provider x',
    ],
    [
      'Telemetry',
      { accessLogging: [{ providers: [{ name: 'x' }] }] },
      'spec.accessLogging[0].providers[0].name',
      'extension provider x',
    ],
    [
      'WasmPlugin',
      { targetRef: { group: 'networking.istio.io', kind: 'ServiceEntry', name: 'x' } },
      'spec.targetRef',
      'ServiceEntry ns/x',
    ],
  ])('%s %j', (kind, spec, path, text) => {
    const found = findingsOf(kind, spec).filter((line) => line.startsWith(`invalid-reference ${path}: `));
    expect(found).toEqual([expect.stringContaining(text)]);
  });
});

describe('overridden', () => {
  test.each([
    ['VirtualService', { hosts: ['reviews'] }, 'spec.hosts[0]', 'the other one counts'],
    [
      'DestinationRule',
      { host: 'reviews', subsets: [{ name: 'v1' }] },
      'spec.subsets[0].name',
      'defines subset v1 too',
    ],
    ['PeerAuthentication', {}, 'spec', 'the other one'],
  ])('%s %j', (kind, spec, path, text) => {
    const found = findingsOf(kind, spec).filter((line) => line.startsWith(`shadowed-config ${path}: `));
    expect(found).toEqual([expect.stringContaining(text)]);
  });

  test('an object does not override itself', () => {
    const around = surroundingsOf(viewOf(surroundings), defaultMeshConfig, 'cluster.local');
    for (const object of surroundings) expect(relate(object, around)).toEqual([]);
  });
});

describe('without effect', () => {
  const services = 'Service ns/vms, ServiceEntry ns/static';
  const hosts = ['a.b', 'Reviews.ns.svc.cluster.local'];
  const { address, path } = { address: 'vm.example.com', path: 'unix:///vm.sock' };
  test.each([
    ['ServiceEntry', { hosts }, 'spec.hosts[1]', "Service ns/reviews, to which the entry's ports, addresses,"],
    [
      'ServiceEntry',
      { hosts, subjectAltNames: ['x'] },
      'spec.hosts[1]',
      "to which only the entry's subjectAltNames are",
    ],
    ['WorkloadEntry', { address, labels: { app: 'vm' } }, 'spec.address', 'no endpoint of Service ns/vms, which'],
    ['WorkloadEntry', { address, labels: { app: 'vm', tier: 'a' } }, 'spec.address', `of ${services}, which`],
    [
      'WorkloadEntry',
      { address: path, labels: { app: 'vm' } },
      'spec.address',
      'of Service ns/vms, ServiceEntry ns/dns',
    ],
  ])('%s %j', (kind, spec, at, text) => {
    const found = findingsOf(kind, spec).filter((line) => line.startsWith(`no-effect ${at}: `));
    expect(found).toEqual([expect.stringContaining(text)]);
  });
});

test('who is concerned by a change of another kind', () => {
  expect(relatedKinds('Pod')).toEqual(['Gateway']);
  expect(relatedKinds('ConfigMap')).toEqual(['VirtualService', 'AuthorizationPolicy', 'Telemetry']);
  expect(relatedKinds('Gateway')).toEqual(['VirtualService']);
  expect(relatedKinds('ServiceEntry')).toContain('WorkloadEntry');
  expect(relatedKinds('Service')).toEqual(expect.arrayContaining(['ServiceEntry', 'WorkloadEntry']));
  expect(relatedKinds('EndpointSlice')).toEqual([]);
});

test('a change in a namespace changes nothing of objects that it does not concern', () => {
  const name = fc.constantFrom('x', 'y', 'z');
  const namespace = fc.constantFrom('one', 'two');
  const key = fc.tuple(namespace, name).map(([ns, own]) => `${ns}/${own}`);
  const route = fc.oneof(
    fc.record({ namespace, name }).map((delegate) => ({ delegate })),
    fc.constant({ route: [{ destination: { host: 'reviews' } }] }),
  );
  const virtualService = fc
    .record({
      key,
      hosts: fc.subarray(['a.example.com', 'b.example.com']),
      http: fc.array(route, { minLength: 1, maxLength: 2 }),
    })
    .map(({ key: at, hosts, http }) =>
      objectOf('VirtualService', at, {
        ...(hosts.length === 0 ? { http: http.filter((one) => 'route' in one) } : { hosts, http }),
      }),
    );
  const sidecar = key.map((at) => objectOf('Sidecar', at));
  const world = fc.uniqueArray(fc.oneof(virtualService, sidecar), {
    selector: ({ kind, metadata }) => `${kind} ${keyOf(metadata)}`,
    maxLength: 8,
  });
  fc.assert(
    fc.property(world, fc.oneof(virtualService, sidecar), fc.boolean(), (objects, changed, goes) => {
      const isIt = ({ kind, metadata }: AnyObject) =>
        kind === changed.kind && keyOf(metadata) === keyOf(changed.metadata);
      const others = objects.filter((object) => !isIt(object));
      const before = surroundingsOf(viewOf(objects), defaultMeshConfig, 'cluster.local');
      const after = surroundingsOf(viewOf(goes ? others : [...others, changed]), defaultMeshConfig, 'cluster.local');
      for (const other of others) {
        if (other.kind === changed.kind && isNear(other, changed.metadata.namespace)) continue;
        expect(relate(other, after)).toEqual(relate(other, before));
      }
    }),
    { numRuns: 500 },
  );
});

test('time does not grow with the square of the objects', () => {
  const many = Array.from({ length: 5_000 }, (_, i) => [
    objectOf('VirtualService', `ns/v${i}`, {
      hosts: [`h${i}`],
      http: [{ route: [{ destination: { host: `h${i}` } }] }],
    }),
    objectOf('Service', `ns/h${i}`, { ports: [{ port: 80 }] }),
  ]).flat();
  let listed = 0;
  const byKey = new Map(many.map((object) => [`${object.kind} ${keyOf(object.metadata)}`, object]));
  const view: ObjectView = {
    get: (kind, key) => byKey.get(`${kind} ${key}`) as never,
    list: (kind) => {
      listed++;
      return many.filter((object) => object.kind === kind) as never;
    },
  };
  const around = surroundingsOf(view, defaultMeshConfig, 'cluster.local');
  expect(many.flatMap((object) => relate(object, around))).toEqual([]);
  expect(listed).toBeLessThan(5);
});
