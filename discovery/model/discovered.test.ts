// discoverySelectors: objects of namespaces that no selector selects count for nothing, whatever their kind.
import { describe, expect, test } from 'vitest';
import { defaultMeshConfig, parseMeshConfig } from '../../config/mesh.ts';
import { type Raw, raw } from '../../test/support/cluster-world.ts';
import { changeOf, graphOf } from '../../test/support/world.ts';
import { writeObjects } from '../world.ts';
import { isDiscovered } from './discovered.ts';
import { mergedGateways } from './gateways.ts';
import { mentionedLabels } from './label-mentions.ts';
import { namespaceMtls } from './mtls.ts';
import { objectOf } from './object-collection.ts';
import { meshInput } from './objects.ts';
import { virtualServices } from './route.ts';
import { serviceKeys } from './services.ts';
import { sidecarFor } from './sidecar-scope.ts';
import { workloadsByNamespace } from './workloads.ts';

const meshOf = (text: string) => parseMeshConfig(text).mesh ?? defaultMeshConfig;
const selecting = meshOf('discoverySelectors: [{ matchLabels: { mesh: "on" } }]');

const namespace = (name: string, labels: Readonly<Record<string, string>> = {}): Raw =>
  raw('v1', 'Namespace', name, {}, { metadata: { namespace: '', labels } });

/** One object of each sort in a namespace. */
function furnished(name: string): readonly Raw[] {
  const at = (apiVersion: string, kind: string, spec: object, more: object = {}): Raw =>
    raw(apiVersion, kind, 'x', spec, { metadata: { namespace: name }, ...more });
  const networking = 'networking.istio.io/v1';
  return [
    at('v1', 'Service', { clusterIP: '10.96.0.1', selector: { app: 'x' }, ports: [{ name: 'http', port: 80 }] }),
    at('v1', 'Pod', {}, { metadata: { namespace: name, labels: { app: 'x' } }, status: { podIP: '10.1.0.1' } }),
    at('v1', 'Secret', {}),
    at(networking, 'VirtualService', { hosts: ['x'], http: [{ route: [{ destination: { host: 'x' } }] }] }),
    at(networking, 'Gateway', {
      selector: { gateway: name },
      servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
    }),
    at(networking, 'Sidecar', { egress: [{ hosts: ['./*'] }] }),
    at(networking, 'DestinationRule', { host: 'x', workloadSelector: { matchLabels: { [name]: 'y' } } }),
    at('security.istio.io/v1', 'PeerAuthentication', { mtls: { mode: 'STRICT' } }),
  ];
}

/** What of a namespace counts. */
function counted({ read }: ReturnType<typeof graphOf>, name: string): readonly string[] {
  const found: Readonly<Record<string, boolean>> = {
    Service: read(serviceKeys, 'all').some((key) => key.startsWith(`${name}/`)),
    Pod: read(workloadsByNamespace, name).length > 0,
    Secret: objectOf(read, 'Secret', `${name}/x`) !== undefined,
    VirtualService: read(virtualServices, `${name}/x`) !== undefined,
    Gateway: read(mergedGateways, { namespace: name, labels: { gateway: name }, targets: [] }).length > 0,
    Sidecar: read(sidecarFor, { namespace: name, labels: {} }) !== '',
    DestinationRule: read(mentionedLabels, 'all').includes(name),
    PeerAuthentication: read(namespaceMtls, name).mode === 'STRICT',
  };
  return Object.keys(found).filter((kind) => found[kind]);
}

const everything = [
  ...['Service', 'Pod', 'Secret', 'VirtualService', 'Gateway', 'Sidecar', 'DestinationRule', 'PeerAuthentication'],
];

describe('namespaces', () => {
  test.each([
    ['without selectors all count', '{}', ['red', 'blue', 'bare']],
    ['by label', 'discoverySelectors: [{ matchLabels: { mesh: "on" } }]', ['red']],
    [
      'by expression, one selector being enough',
      'discoverySelectors: [{ matchExpressions: [{ key: mesh, operator: In, values: ["off"] }] }, { matchLabels: { mesh: "on" } }]',
      ['red', 'blue'],
    ],
    [
      'a label that is missing',
      'discoverySelectors: [{ matchExpressions: [{ key: mesh, operator: NotIn, values: ["on"] }] }]',
      ['blue', 'bare'],
    ],
    ['by name', 'discoverySelectors: [{ matchLabels: { kubernetes.io/metadata.name: bare } }]', ['bare']],
    ['a selector without requirements selects all', 'discoverySelectors: [{}]', ['red', 'blue', 'bare']],
  ])('%s', (_, text, expected) => {
    const { read } = graphOf([namespace('red', { mesh: 'on' }), namespace('blue', { mesh: 'off' })], meshOf(text));
    expect(['red', 'blue', 'bare'].filter((name) => read(isDiscovered, name))).toEqual(expected);
  });
});

describe('objects', () => {
  const world = [namespace('red', { mesh: 'on' }), ...furnished('red'), namespace('blue'), ...furnished('blue')];

  test('of namespaces that are not selected count for nothing, but for the configuration in the root namespace', () => {
    const graph = graphOf(world, selecting);
    expect(counted(graph, 'red')).toEqual(everything);
    expect(counted(graph, 'blue')).toEqual([]);
    const rooted = graphOf([...world, namespace('istio-system'), ...furnished('istio-system')], selecting);
    expect(counted(rooted, 'istio-system')).toEqual(
      everything.filter((kind) => !['Service', 'Pod', 'Secret'].includes(kind)),
    );
  });

  test('come and go with the label of their namespace and with the selectors', () => {
    const graph = graphOf(world, selecting);
    const relabel = (labels: Readonly<Record<string, string>>): void => {
      const change = changeOf(namespace('blue', labels));
      if (change !== undefined) writeObjects(graph, [change]);
    };
    expect(counted(graph, 'blue')).toEqual([]);
    relabel({ mesh: 'on' });
    expect(counted(graph, 'blue')).toEqual(everything);
    relabel({});
    expect(counted(graph, 'blue')).toEqual([]);
    graph.write(meshInput, 'mesh', defaultMeshConfig);
    expect(counted(graph, 'blue')).toEqual(everything);
    expect(counted(graph, 'red')).toEqual(everything);
  });

  test('of other namespaces are not looked at again when one is selected', () => {
    const graph = graphOf(world, selecting);
    counted(graph, 'red');
    const before = graph.stats().computed;
    const change = changeOf(namespace('blue', { note: 'y' }));
    if (change !== undefined) writeObjects(graph, [change]);
    counted(graph, 'red');
    const after = graph.stats().computed;
    const grown = [...after].filter(([node, count]) => count !== before.get(node)).map(([node]) => node);
    expect(grown).toEqual(['is-discovered']);
  });
});
