// What a Service or ServiceEntry says of where its endpoints are preferred, and what it inherits from its namespace.
import { describe, expect, test } from 'vitest';
import { defaultMeshConfig } from '../../config/mesh.ts';
import { entry, type Raw, raw, service } from '../../test/support/cluster-world.ts';
import { changeOf, graphOf } from '../../test/support/world.ts';
import { writeObjects } from '../world.ts';
import { services } from './services.ts';

const annotated = (value: string | undefined) =>
  value === undefined ? {} : { annotations: { 'networking.istio.io/traffic-distribution': value } };
const namespace = (value: string | undefined): Raw =>
  raw('v1', 'Namespace', 'default', {}, { metadata: { namespace: '', ...annotated(value) } });
const key = 'default/web.default.svc.cluster.local';

describe('traffic distribution', () => {
  const web = (field?: string, own?: string): Raw =>
    service(
      'web',
      { clusterIP: '10.96.0.1', ...(field === undefined ? {} : { trafficDistribution: field }) },
      { metadata: annotated(own) },
    );

  test.each<[field: string | undefined, own: string | undefined, inherited: string | undefined, expected: string]>([
    [undefined, undefined, undefined, 'any'],
    ['PreferClose', undefined, undefined, 'same-zone'],
    ['PreferSameZone', undefined, undefined, 'same-zone'],
    ['PreferSameNode', undefined, undefined, 'same-node'],
    // The field goes before annotations, if it says something.
    ['PreferSameNode', 'PreferSameZone', 'PreferSameZone', 'same-node'],
    ['PreferFar', 'PreferSameNode', 'PreferSameZone', 'same-node'],
    ['prefersamezone', undefined, 'PreferSameNode', 'same-node'],
    // Annotations are read in any case; a Service's own goes before that of its namespace, even to say Any.
    [undefined, 'preferClose', undefined, 'same-zone'],
    [undefined, 'PREFERSAMENODE', 'PreferClose', 'same-node'],
    [undefined, 'Any', 'PreferClose', 'any'],
    [undefined, 'PreferFar', 'PreferClose', 'any'],
    [undefined, '', 'prefersamezone', 'same-zone'],
    [undefined, undefined, 'PreferSameNode', 'same-node'],
    [undefined, undefined, 'PreferFar', 'any'],
  ])('field %j, annotation %j, namespace %j: %s', (field, own, inherited, expected) => {
    const { read } = graphOf([web(field, own), namespace(inherited)], defaultMeshConfig);
    expect(read(services, key)?.trafficDistribution).toBe(expected);
  });

  test('of a namespace is inherited by ServiceEntries too, and follows its changes', () => {
    const spec = {
      hosts: ['e.example.com'],
      resolution: 'DNS',
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
    };
    const graph = graphOf(
      [entry('e', spec), entry('o', { ...spec, hosts: ['o.example.com'] }, { metadata: annotated('PreferSameNode') })],
      defaultMeshConfig,
    );
    const all = () =>
      ['e', 'o'].map((host) => graph.read(services, `default/${host}.example.com`)?.trafficDistribution);
    const annotate = (value: string | undefined): void => {
      const change = changeOf(namespace(value));
      if (change !== undefined) writeObjects(graph, [change]);
    };
    expect(all()).toEqual(['any', 'same-node']);
    annotate('PreferClose');
    expect(all()).toEqual(['same-zone', 'same-node']);
    annotate(undefined);
    expect(all()).toEqual(['any', 'same-node']);
  });
});
