// Endpoints by how Services, EndpointSlices, ServiceEntries, pods and WorkloadEntries select each other.
import { describe, expect, test } from 'vitest';
import { defaultMeshConfig } from '../../config/mesh.ts';
import { entry, type Raw, raw, service } from '../../test/support/cluster-world.ts';
import { changeOf, graphOf } from '../../test/support/world.ts';
import { writeObjects } from '../world.ts';
import { serviceEndpoints, serviceIdentities } from './service-endpoints.ts';
import { serviceTargetsOf } from './service-targets.ts';

type Ports = readonly { readonly name: string; readonly containerPort: number; readonly protocol?: string }[];

const pod = (
  name: string,
  ip: string,
  over: { ready?: boolean; ports?: Ports; init?: object; labels?: object } = {},
): Raw =>
  raw(
    'v1',
    'Pod',
    name,
    {
      serviceAccountName: 'web',
      nodeName: 'n1',
      containers: [{ name: 'c', ports: over.ports ?? [] }],
      ...(over.init === undefined ? {} : { initContainers: [over.init] }),
    },
    {
      metadata: { labels: { app: 'web', ...over.labels } },
      status: {
        phase: 'Running',
        podIP: ip,
        conditions: [{ type: 'Ready', status: over.ready === false ? 'False' : 'True' }],
      },
    },
  );
const slice = (endpoints: readonly object[]): Raw =>
  ({
    ...raw(
      'discovery.k8s.io/v1',
      'EndpointSlice',
      'web-1',
      {},
      { metadata: { labels: { 'kubernetes.io/service-name': 'web' } } },
    ),
    addressType: 'IPv4',
    endpoints,
    ports: [{ name: 'http', port: 8080 }],
  }) as Raw;
const vm = (name: string, address: string, spec: object = {}, more: object = {}): Raw =>
  raw(
    'networking.istio.io/v1',
    'WorkloadEntry',
    name,
    { address, labels: { app: 'web' }, serviceAccount: 'vm', ...spec },
    more,
  );
const web = (spec: object = {}): Raw =>
  service('web', {
    clusterIP: '10.96.0.1',
    selector: { app: 'web' },
    ports: [{ name: 'http', port: 80, targetPort: 8080 }],
    ...spec,
  });
const selecting = (spec: object = {}): Raw =>
  entry('web', {
    hosts: ['web.example.com'],
    resolution: 'STATIC',
    location: 'MESH_INTERNAL',
    ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
    workloadSelector: { labels: { app: 'web' } },
    ...spec,
  });

const hostOf = { Service: 'web.default.svc.cluster.local', ServiceEntry: 'web.example.com' };
const found = (graph: ReturnType<typeof graphOf>, of: keyof typeof hostOf): readonly string[] =>
  graph
    .read(serviceEndpoints, { service: `default/${hostOf[of]}`, port: 80 })
    .map(({ address, port, health }) => `${address}:${port} ${health}`);
const of = (kind: keyof typeof hostOf, ...objects: readonly Raw[]) => found(graphOf(objects, defaultMeshConfig), kind);

describe('publishNotReadyAddresses', () => {
  const not = { ready: false };

  test('makes pods that are not ready count, where nobody writes slices', () => {
    const pods = [pod('w1', '10.1.0.1'), pod('w2', '10.1.0.2', not)];
    expect(of('Service', web(), ...pods)).toEqual(['10.1.0.1:8080 healthy', '10.1.0.2:8080 unhealthy']);
    expect(of('Service', web({ publishNotReadyAddresses: true }), ...pods)).toEqual([
      '10.1.0.1:8080 healthy',
      '10.1.0.2:8080 healthy',
    ]);
  });

  test('makes Kubernetes write into slices that they are ready, also as they end', () => {
    const ready = { ready: true, serving: false, terminating: true };
    const written = slice([{ addresses: ['10.1.0.2'], conditions: ready, targetRef: { kind: 'Pod', name: 'w2' } }]);
    const objects = [written, pod('w2', '10.1.0.2', not)];
    expect(of('Service', web({ publishNotReadyAddresses: true }), ...objects)).toEqual(['10.1.0.2:8080 healthy']);
  });

  test('follows the field', () => {
    const graph = graphOf([web(), pod('w2', '10.1.0.2', not)], defaultMeshConfig);
    const seen = [false, true, false].map((publishNotReadyAddresses) => {
      const change = changeOf(web({ publishNotReadyAddresses }));
      if (change !== undefined) writeObjects(graph, [change]);
      return found(graph, 'Service');
    });
    expect(seen.flat()).toEqual(['10.1.0.2:8080 unhealthy', '10.1.0.2:8080 healthy', '10.1.0.2:8080 unhealthy']);
  });
});

describe('conditions of slices', () => {
  test.each<[conditions: object, expected: readonly string[]]>([
    [{ ready: true, serving: true, terminating: false }, ['healthy']],
    [{ ready: false, serving: true, terminating: false }, ['unhealthy']],
    [{ ready: false, serving: false, terminating: false }, ['unhealthy']],
    [{ ready: false, serving: true, terminating: true }, []],
    [{ ready: false, serving: false, terminating: true }, []],
    [{ serving: true, terminating: true }, ['healthy']],
    [{ terminating: true }, ['healthy']],
  ])('%j', (conditions, expected) => {
    const written = slice([{ addresses: ['10.1.0.9'], conditions }]);
    expect(of('Service', web(), written)).toEqual(expected.map((health) => `10.1.0.9:8080 ${health}`));
  });
});

describe('a WorkloadEntry behind a Service', () => {
  test('is an endpoint beside those of slices', () => {
    const written = slice([{ addresses: ['10.1.0.1'], targetRef: { kind: 'Pod', name: 'w1' } }]);
    const objects = [web(), written, pod('w1', '10.1.0.1'), pod('w2', '10.1.0.2'), vm('vm', '10.8.0.1')];
    expect(of('Service', ...objects)).toEqual(['10.1.0.1:8080 healthy', '10.8.0.1:8080 unknown']);
    const graph = graphOf(objects, defaultMeshConfig);
    expect(graph.read(serviceIdentities, { service: `default/${hostOf.Service}`, port: 80 })).toEqual([
      'spiffe://cluster.local/ns/default/sa/vm',
      'spiffe://cluster.local/ns/default/sa/web',
    ]);
  });

  const named = { ports: [{ name: 'http', port: 80, targetPort: 'web' }] };
  test.each<[what: string, service: object, entry: object, expected: readonly string[]]>([
    ['by the name of the service port', {}, { ports: { http: 9080 } }, ['10.8.0.1:9080 unknown']],
    ['by the target port', {}, { ports: { other: 9080 } }, ['10.8.0.1:8080 unknown']],
    ['by the port itself', { ports: [{ name: 'http', port: 80 }] }, {}, ['10.8.0.1:80 unknown']],
    ['by the name that the service gives', named, { ports: { web: 9080, http: 1 } }, ['10.8.0.1:9080 unknown']],
    ['not without the name that the service gives', named, { ports: { http: 9080 } }, []],
    [
      'not by what objects have of themselves',
      { ports: [{ name: 'http', port: 80, targetPort: 'constructor' }] },
      {},
      [],
    ],
  ])('has its port %s', (_what, spec, own, expected) => {
    expect(of('Service', web(spec), vm('vm', '10.8.0.1', own))).toEqual(expected);
  });

  test.each<[what: string, service: object, kind: keyof typeof hostOf, expected: readonly string[]]>([
    ['is no endpoint of a headless one, whose pods are', { clusterIP: 'None' }, 'Service', ['10.1.0.1:8080 healthy']],
    ['is one of a ServiceEntry all the same', { clusterIP: 'None' }, 'ServiceEntry', ['10.1.0.1:80', '10.8.0.1:80']],
  ])('%s', (_what, spec, kind, expected) => {
    const graph = graphOf([web(spec), selecting(), pod('w1', '10.1.0.1'), vm('vm', '10.8.0.1')], defaultMeshConfig);
    expect(found(graph, kind).map((text, at) => text.slice(0, expected[at]?.length))).toEqual(expected);
    // Its sidecar listens for what it is an endpoint of.
    const key = { namespace: 'default', addresses: ['10.8.0.1'], workload: 'WorkloadEntry|default/vm' };
    expect(graph.read(serviceTargetsOf, key).map(({ service }) => service)).toEqual([`default/${hostOf.ServiceEntry}`]);
  });

  test.each<[address: string, behind: Readonly<Record<string, readonly string[]>>]>([
    ['10.8.0.2', { service: ['10.8.0.2:8080'], STATIC: ['10.8.0.2:80'], DNS: ['10.8.0.2:80'] }],
    ['vm.example.com', { service: [], STATIC: [], DNS: ['vm.example.com:80'], DNS_ROUND_ROBIN: ['vm.example.com:80'] }],
    ['unix:///vm.sock', { service: [], STATIC: [], DNS: [], DNS_ROUND_ROBIN: [] }],
    ['', { service: [':8080'], STATIC: [':80'] }],
  ])('at address "%s" stands behind %j, and leaves the others as they are', (address, behind) => {
    const written = slice([{ addresses: ['10.1.0.1'], targetRef: { kind: 'Pod', name: 'w1' } }]);
    const beside = [written, pod('w1', '10.1.0.1'), vm('vm', '10.8.0.1'), vm('odd', address, { network: 'far' })];
    for (const [resolution, expected] of Object.entries(behind)) {
      const kind = resolution === 'service' ? 'Service' : 'ServiceEntry';
      const graph = graphOf([kind === 'Service' ? web() : selecting({ resolution }), ...beside], defaultMeshConfig);
      const places = found(graph, kind).map((text) => text.split(' ')[0]);
      const others = kind === 'Service' ? ['10.1.0.1:8080', '10.8.0.1:8080'] : ['10.1.0.1:80', '10.8.0.1:80'];
      expect(places.toSorted(), resolution).toEqual([...others, ...expected].toSorted());
      // A sidecar there listens for the service just where it is an endpoint of it.
      const key = { namespace: 'default', addresses: ['10.8.0.9'], workload: 'WorkloadEntry|default/odd' };
      expect(graph.read(serviceTargetsOf, key), resolution).toHaveLength(expected.length);
    }
  });

  test('takes labels of its metadata too, and no other namespace’s service', () => {
    const labelled = vm('vm', '10.8.0.1', { labels: {} }, { metadata: { labels: { app: 'web' } } });
    expect(of('Service', web(), labelled)).toEqual(['10.8.0.1:8080 unknown']);
    expect(of('Service', web(), vm('vm', '10.8.0.1', {}, { metadata: { namespace: 'other' } }))).toEqual([]);
  });

  test('that its agent calls unhealthy is marked so', () => {
    const checked = (status: string): Raw =>
      vm(
        'vm',
        '10.8.0.1',
        {},
        {
          metadata: { annotations: { 'proxy.istio.io/health-checks-enabled': 'true' } },
          status: { conditions: [{ type: 'Healthy', status }] },
        },
      );
    expect(of('Service', web(), checked('False'))).toEqual(['10.8.0.1:8080 unhealthy']);
    expect(of('Service', web(), checked('True'))).toEqual(['10.8.0.1:8080 unknown']);
  });

  test('may come before the service, and goes with its labels', () => {
    const graph = graphOf([vm('vm', '10.8.0.1')], defaultMeshConfig);
    const seen = [web(), vm('vm', '10.8.0.1', { labels: { app: 'other' } }), web({ selector: { app: 'other' } })].map(
      (next) => {
        const change = changeOf(next);
        if (change !== undefined) writeObjects(graph, [change]);
        return found(graph, 'Service');
      },
    );
    expect(seen).toEqual([['10.8.0.1:8080 unknown'], [], ['10.8.0.1:8080 unknown']]);
  });
});

describe('a ServiceEntry that selects pods', () => {
  const ports: Ports = [{ name: 'http', containerPort: 8080 }];

  test('has those that are ready, beside WorkloadEntries', () => {
    const leaving = pod('w4', '10.1.0.4');
    const gone = { ...leaving, metadata: { ...leaving.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
    const pods = [
      pod('w1', '10.1.0.1'),
      pod('w2', '10.1.0.2', { ready: false }),
      pod('w3', '10.1.0.3', { labels: { app: 'db' } }),
    ];
    expect(of('ServiceEntry', selecting(), ...pods, gone, vm('vm', '10.8.0.1'))).toEqual([
      '10.1.0.1:80 healthy',
      '10.8.0.1:80 unknown',
    ]);
  });

  const target = { ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 9000 }] };
  test.each<[what: string, entry: object, pod: Parameters<typeof pod>[2], expected: number]>([
    ['a container’s port of its own name', target, { ports }, 8080],
    ['its target port', target, { ports: [{ name: 'other', containerPort: 8080 }] }, 9000],
    ['its own number', {}, {}, 80],
    ['no port of UDP', {}, { ports: [{ name: 'http', containerPort: 8080, protocol: 'UDP' }] }, 80],
    ['a port of a native sidecar', {}, { init: { name: 's', restartPolicy: 'Always', ports } }, 8080],
    ['no port of what only runs first', {}, { init: { name: 'i', ports } }, 80],
  ])('takes %s', (_what, spec, own, expected) => {
    const objects = [selecting(spec), pod('w1', '10.1.0.1', own)];
    expect(of('ServiceEntry', ...objects)).toEqual([`10.1.0.1:${expected} healthy`]);
    // The pod's own sidecar listens there.
    const key = { namespace: 'default', addresses: ['10.1.0.1'], workload: 'Pod|default/w1' };
    expect(graphOf(objects, defaultMeshConfig).read(serviceTargetsOf, key)).toEqual([
      { service: `default/${hostOf.ServiceEntry}`, port: 80, targetPort: expected },
    ]);
  });

  test('leaves a Service’s ports to Kubernetes, which knows nothing of such names', () => {
    const numbered = web({ ports: [{ name: 'http', port: 80, targetPort: 9000 }] });
    expect(of('Service', numbered, pod('w1', '10.1.0.1', { ports }))).toEqual(['10.1.0.1:9000 healthy']);
  });

  test('follows readiness, labels and the selector, whoever comes first', () => {
    const graph = graphOf([pod('w1', '10.1.0.1')], defaultMeshConfig);
    const steps = [
      selecting(),
      pod('w1', '10.1.0.1', { ready: false }),
      pod('w1', '10.1.0.1', { labels: { tier: 'a' } }),
      selecting({ workloadSelector: { labels: { app: 'web', tier: 'b' } } }),
      pod('w1', '10.1.0.1', { labels: { tier: 'b' } }),
    ];
    const seen = steps.map((next) => {
      const change = changeOf(next);
      if (change !== undefined) writeObjects(graph, [change]);
      return found(graph, 'ServiceEntry').length;
    });
    expect(seen).toEqual([1, 0, 1, 0, 1]);
  });
});
