// Gateways between networks: by the label of a Service or by meshNetworks, at load balancers, external addresses or nodes.
import { describe, expect, test } from 'vitest';
import { defaultMeshConfig } from '../../config/mesh.ts';
import { type Raw, raw, service } from '../../test/support/cluster-world.ts';
import { changeOf, graphOf } from '../../test/support/world.ts';
import { writeObjects } from '../world.ts';
import { networkGateways } from './network-gateways.ts';

type Labels = Readonly<Record<string, string>>;
type Address = readonly [type: string, address: string];

const node = (name: string, labels: Labels, ...addresses: readonly Address[]): Raw =>
  raw(
    'v1',
    'Node',
    name,
    {},
    {
      metadata: { namespace: '', labels },
      status: { addresses: addresses.map(([type, address]) => ({ type, address })) },
    },
  );
const ports = [
  { name: 'tls', port: 15443, nodePort: 30443 },
  { name: 'other', port: 16443, nodePort: 30643 },
  { name: 'quic', port: 16443, nodePort: 30999, protocol: 'UDP' },
];
const annotated = (nodeSelector: string, spec: object = {}, labels: Labels = {}): Raw =>
  service(
    'gateway',
    { type: 'NodePort', clusterIP: '10.96.0.2', ports, ...spec },
    {
      metadata: {
        annotations: { 'traffic.istio.io/nodeSelector': nodeSelector },
        labels: { 'topology.istio.io/network': 'net2', ...labels },
      },
    },
  );
const networks = (text: string): Raw =>
  ({
    ...raw('v1', 'ConfigMap', 'istio', {}, { metadata: { namespace: 'istio-system' } }),
    data: { meshNetworks: text },
  }) as Raw;
const graphWith = (objects: readonly Raw[]) => graphOf(objects, defaultMeshConfig);
const gateways = (objects: readonly Raw[]) =>
  graphWith(objects)
    .read(networkGateways, 'all')
    .map(({ network, address, port }) => `${network} ${address}:${port}`);

const nodes = [
  node('n1', { edge: 'yes' }, ['InternalIP', '10.0.0.1'], ['ExternalIP', '192.0.2.1'], ['ExternalIP', '192.0.2.9']),
  node('n2', { edge: 'no' }, ['ExternalIP', ''], ['ExternalIP', '192.0.2.2']),
  node('n3', { edge: 'yes' }, ['InternalIP', '10.0.0.3']),
  node('n4', { edge: 'yes' }, ['ExternalIP', '192.0.2.1']),
];

describe('a NodePort Service with a node selector', () => {
  test.each<[string, string, readonly string[], object?, Labels?]>([
    ['is reached at the first external address of each node selected', '{"edge":"yes"}', ['net2 192.0.2.1:30443']],
    ['selects every node without labels', '{}', ['net2 192.0.2.1:30443', 'net2 192.0.2.2:30443']],
    ['selects every node where it cannot be read', 'edge=no', ['net2 192.0.2.1:30443', 'net2 192.0.2.2:30443']],
    ['may select none', '{"edge":"yes","arch":"x"}', []],
    [
      'has the node port of the gateway port, of TCP',
      '{"edge":"no"}',
      ['net2 192.0.2.2:30643'],
      {},
      { 'networking.istio.io/gatewayPort': '16443' },
    ],
    ['keeps a port that it does not have', '{"edge":"no"}', ['net2 192.0.2.2:15443'], { ports: [{ port: 80 }] }],
    ['has addresses of its own first', '{}', ['net2 203.0.113.7:30443'], { externalIPs: ['203.0.113.7'] }],
  ])('%s', (_what, selector, expected, spec, labels) => {
    expect(gateways([...nodes, annotated(selector, spec, labels)])).toEqual(expected);
  });

  test('of another type, or without the annotation, nodes are nothing to it', () => {
    const plain = service(
      'gateway',
      { type: 'NodePort', ports },
      { metadata: { labels: { 'topology.istio.io/network': 'net2' } } },
    );
    expect(gateways([...nodes, plain])).toEqual([]);
    expect(gateways([...nodes, annotated('{}', { type: 'ClusterIP' })])).toEqual([]);
  });

  test('follows nodes as they come, change and go, wherever discoverySelectors lead', () => {
    const selecting = {
      ...defaultMeshConfig,
      discoverySelectors: [{ matchLabels: { 'kubernetes.io/metadata.name': 'default' } }],
    };
    const graph = graphOf([annotated('{"edge":"yes"}')], selecting);
    const addresses = (): readonly string[] => graph.read(networkGateways, 'all').map(({ address }) => address);
    const put = (raw: Raw): void => {
      const change = changeOf(raw);
      if (change !== undefined) writeObjects(graph, [change]);
    };
    expect(addresses()).toEqual([]);
    put(node('n1', { edge: 'no' }, ['ExternalIP', '192.0.2.1']));
    expect(addresses()).toEqual([]);
    put(node('n1', { edge: 'yes' }, ['ExternalIP', '192.0.2.1']));
    expect(addresses()).toEqual(['192.0.2.1']);
    put(node('n1', { edge: 'yes' }, ['ExternalIP', '192.0.2.5']));
    expect(addresses()).toEqual(['192.0.2.5']);
    writeObjects(graph, [{ kind: 'Node', key: '/n1', object: undefined }]);
    expect(addresses()).toEqual([]);
  });
});

describe('meshNetworks', () => {
  const host = 'gateway.default.svc.cluster.local';
  const own = (extra: string): string =>
    `networks: { net1: { endpoints: [{ fromRegistry: Kubernetes }], gateways: [${extra}] } }`;
  const unlabelled = annotated('{"edge":"no"}', {}, { 'topology.istio.io/network': '' });

  test('names gateways by address', () => {
    const text = 'networks: { net2: { gateways: [{ address: 198.51.100.1, port: 443 }, { address: 198.51.100.1 }] } }';
    expect(gateways([networks(text)])).toEqual(['net2 198.51.100.1:443', 'net2 198.51.100.1:15443']);
  });

  test('names a Service of this cluster, at its nodes too', () => {
    const named = networks(own(`{ registryServiceName: ${host}, port: 16443 }`));
    expect(gateways([...nodes, unlabelled, named])).toEqual(['net1 192.0.2.2:30643']);
  });

  test('names Services of the clusters whose endpoints a network takes: of another cluster they are not ours', () => {
    const text = own(`{ registryServiceName: ${host} }`).replace('Kubernetes', 'elsewhere');
    expect(gateways([...nodes, unlabelled, networks(text)])).toEqual([]);
  });

  test('gives way to the label of the Service', () => {
    const named = networks(own(`{ registryServiceName: ${host} }`));
    expect(gateways([...nodes, annotated('{"edge":"no"}'), named])).toEqual(['net2 192.0.2.2:30443']);
  });
});
