// Conflicts as metrics: what counts as one and what does not, and that they follow the objects and the proxies.
import { create } from '@bufbuild/protobuf';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { defaultMeshConfig } from '../config/mesh.ts';
import { Store } from '../config/store.ts';
import { parseNode } from '../discovery/proxy/node.ts';
import { writeObjects } from '../discovery/world.ts';
import { NodeSchema } from '../protos/gen/envoy/config/core/v3/base_pb.js';
import { changeOf, connect, graphOf, testFacts } from '../test/support/world.ts';
import { addConflictMetrics } from './conflict-metrics.ts';

type Raw = Parameters<typeof changeOf>[0];

function world() {
  const store = new Store();
  const graph = graphOf([], defaultMeshConfig, testFacts);
  const registry = new Registry();
  const streams: { proxyClass: ReturnType<typeof connect> }[] = [];
  addConflictMetrics({ registry, store, graph, streams: () => streams, domain: 'cluster.local' });
  const sink = store.sinkOf('test');
  const put = (...raws: readonly Raw[]): void => {
    const changes = raws.map(changeOf).filter((change) => change !== undefined);
    sink.apply(changes);
    writeObjects(graph, changes);
  };
  const value = async (name: string): Promise<number> => {
    const [line = ''] = (await registry.getSingleMetricAsString(name))
      .split('\n')
      .filter((one) => !one.startsWith('#'));
    return Number(line.slice(name.length));
  };
  const connectSidecar = (ip: string, labels: Readonly<Record<string, string>>): void => {
    const node = create(NodeSchema, {
      id: `sidecar~${ip}~web-1.ns~ns.svc.cluster.local`,
      metadata: { NAMESPACE: 'ns', LABELS: labels },
    });
    const parsed = parseNode(node);
    if (parsed.kind === 'invalid') throw new Error(parsed.problem.message);
    streams.push({ proxyClass: connect(graph, parsed.proxy) });
  };
  return { put, value, connectSidecar, streams };
}

const mesh = (kind: string, name: string, spec: object, namespace = 'ns'): Raw =>
  ({ apiVersion: 'networking.istio.io/v1', kind, metadata: { name, namespace }, spec }) as Raw;
const service = (name: string, portName: string, selector: object): Raw =>
  ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'ns' },
    spec: { clusterIP: `10.1.0.${name.length}`, selector, ports: [{ name: portName, port: 80, targetPort: 8080 }] },
  }) as Raw;

test('hosts that several VirtualServices of a namespace route in the mesh', async () => {
  const { put, value } = world();
  const name = 'pilot_vservice_dup_domain';
  expect(await value(name)).toBe(0);
  put(
    mesh('VirtualService', 'a', { hosts: ['web', 'web.ns.svc.cluster.local'] }),
    mesh('VirtualService', 'b', { hosts: ['web'], gateways: ['edge'] }),
    mesh('VirtualService', 'c', { hosts: ['web'] }, 'other'),
  );
  expect(await value(name)).toBe(0);
  put(
    mesh('VirtualService', 'd', { hosts: ['web', 'x.com'] }),
    mesh('VirtualService', 'e', { hosts: ['x.com', 'web'] }),
  );
  expect(await value(name)).toBe(2);
  put(mesh('VirtualService', 'e', { hosts: ['y.com'] }));
  expect(await value(name)).toBe(1);
});

test('hosts whose subset several DestinationRules of a namespace define', async () => {
  const { put, value } = world();
  const rule = (name: string, subsets: readonly string[], namespace?: string): Raw =>
    mesh(
      'DestinationRule',
      name,
      { host: 'web.ns.svc.cluster.local', subsets: subsets.map((one) => ({ name: one })) },
      namespace,
    );
  put(rule('a', ['v1', 'v2']), rule('b', ['v3']), rule('c', ['v1'], 'other'));
  expect(await value('pilot_destrule_subsets')).toBe(0);
  put(rule('d', ['v1', 'v2']), rule('e', ['v1']));
  expect(await value('pilot_destrule_subsets')).toBe(1);
});

test('ports on which TCP services without an address are in each other’s way', async () => {
  const { put, value } = world();
  const name = 'pilot_conflict_outbound_listener_tcp_over_current_tcp';
  const entry = (host: string, protocol: string, more: object = {}, number = 3306): Raw =>
    mesh('ServiceEntry', host, {
      hosts: [`${host}.example.com`],
      ports: [{ number, name: 'p', protocol }],
      resolution: 'DNS',
      ...more,
    });
  put(
    entry('a', 'TCP'),
    entry('b', 'TCP', { addresses: ['192.0.2.1'] }),
    entry('c', 'TLS'),
    entry('d', 'HTTP'),
    entry('e', 'TCP', {}, 3307),
    entry('f', 'TCP', { exportTo: ['~'] }, 3307),
    entry('g', 'TCP', { resolution: 'NONE' }),
  );
  expect(await value(name)).toBe(0);
  put(entry('h', 'MONGO'), entry('i', 'TCP'));
  expect(await value(name)).toBe(1);
});

test('ports of DNS services that select no workload', async () => {
  const { put, value } = world();
  const name = 'pilot_dns_cluster_without_endpoints';
  const ports = [{ number: 80, name: 'http', protocol: 'HTTP' }];
  put(
    mesh('ServiceEntry', 'a', { hosts: ['a.example.com'], ports, resolution: 'DNS' }),
    mesh('ServiceEntry', 'b', {
      ...{ hosts: ['b.example.com'], ports, resolution: 'DNS', workloadSelector: { labels: { app: 'b' } } },
    }),
    mesh('ServiceEntry', 'c', {
      ...{ hosts: ['c.example.com'], ports, resolution: 'STATIC', workloadSelector: { labels: { app: 'c' } } },
    }),
  );
  expect(await value(name)).toBe(1);
  put(mesh('WorkloadEntry', 'b', { address: 'b1.example.com', labels: { app: 'b' } }));
  expect(await value(name)).toBe(0);
});

test('connected sidecars with a port for which services of different protocols are', async () => {
  const { put, value, connectSidecar, streams } = world();
  const name = 'pilot_conflict_inbound_listener';
  put(service('web', 'http', { app: 'web' }), service('web-same', 'http', { app: 'web' }));
  connectSidecar('10.0.0.1', { app: 'web' });
  expect(await value(name)).toBe(0);
  streams.length = 0;
  put(service('web-other', 'tcp', { app: 'web', raw: 'yes' }));
  connectSidecar('10.0.0.1', { app: 'web' });
  connectSidecar('10.0.0.2', { app: 'web', raw: 'yes' });
  expect(await value(name)).toBe(1);
});
