// Where workloads are: by labels of their node, or by their own.
import { describe, expect, test } from 'vitest';
import { defaultMeshConfig } from '../../config/mesh.ts';
import { pod, type Raw, raw } from '../../test/support/cluster-world.ts';
import { changeOf, graphOf } from '../../test/support/world.ts';
import { writeObjects } from '../world.ts';
import { workloads } from './workloads.ts';

type Labels = Readonly<Record<string, string>>;
const node = (labels: Labels): Raw => raw('v1', 'Node', 'n1', {}, { metadata: { namespace: '', labels } });
const text = (graph: ReturnType<typeof graphOf>, key: string): string | undefined => {
  const locality = graph.read(workloads, key)?.locality;
  return locality && `${locality.region}/${locality.zone}/${locality.subzone}`;
};
const [region, zone, subzone] = [
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.istio.io/subzone',
];
const [oldRegion, oldZone] = ['failure-domain.beta.kubernetes.io/region', 'failure-domain.beta.kubernetes.io/zone'];

describe('a pod', () => {
  test.each<[what: string, node: Labels, own: Labels, expected: string]>([
    ['is where its node is', { [region]: 'r', [zone]: 'z', [subzone]: 's' }, {}, 'r/z/s'],
    ['may know only a sub-zone', { [subzone]: 's' }, {}, '//s'],
    ['takes former labels of the node', { [oldRegion]: 'r', [oldZone]: 'z' }, {}, 'r/z/'],
    ['takes present labels first', { [region]: 'r', [oldRegion]: 'x', [zone]: '', [oldZone]: 'z' }, {}, 'r/z/'],
    ['says it itself', { [region]: 'r', [zone]: 'z', [subzone]: 's' }, { 'istio-locality': 'a.b.c' }, 'a/b/c'],
    ['says it in part: the rest is not the node’s', { [region]: 'r', [zone]: 'z' }, { 'istio-locality': 'a' }, 'a//'],
    ['says it by the newer label', { [region]: 'r' }, { 'topology.istio.io/locality': 'a.b' }, 'a/b/'],
    ['says nothing by an empty label', { [region]: 'r' }, { 'istio-locality': '' }, 'r//'],
    ['is nowhere without labels', {}, {}, '//'],
  ])('%s', (_what, labels, own, expected) => {
    const graph = graphOf([node(labels), pod('w1', '10.1.0.1', 'n1', own)], defaultMeshConfig);
    expect(text(graph, 'Pod|default/w1')).toBe(expected);
  });

  test('moves as the labels of its node come and change', () => {
    const graph = graphOf([pod('w1', '10.1.0.1', 'n1')], defaultMeshConfig);
    const seen = [undefined, { [zone]: 'z' }, { [zone]: 'z', [subzone]: 's' }].map((labels) => {
      const change = labels === undefined ? undefined : changeOf(node(labels));
      if (change !== undefined) writeObjects(graph, [change]);
      return text(graph, 'Pod|default/w1');
    });
    expect(seen).toEqual(['//', '/z/', '/z/s']);
  });
});

describe('a WorkloadEntry', () => {
  test.each([
    ['by its field', { locality: 'a/b/c', labels: { 'istio-locality': 'x.y' } }, 'a/b/c'],
    ['by its label', { labels: { 'istio-locality': 'x.y' } }, 'x/y/'],
    ['not at all', {}, '//'],
  ])('%s', (_what, spec, expected) => {
    const vm = raw('networking.istio.io/v1', 'WorkloadEntry', 'vm', { address: '10.8.0.1', ...spec });
    expect(text(graphOf([vm], defaultMeshConfig), 'WorkloadEntry|default/vm')).toBe(expected);
  });
});
