// Where Ingresses are reached: the gateway's Service, or the nodes of its pods.
import { describe, expect, test } from 'vitest';
import { defaultMeshConfig } from '../../config/mesh.ts';
import { graphOf } from '../../test/support/world.ts';
import { ingressPoints, pointsOf } from './ingress-points.ts';

describe('where they are reached', () => {
  const serviceOf = (spec: object, status: object = {}) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'istio-ingressgateway', namespace: 'istio-system' },
    spec,
    status,
  });
  const balanced = {
    loadBalancer: { ingress: [{ ip: '10.0.0.9' }, { hostname: 'lb.example.com' }, { ip: '10.0.0.1' }] },
  };
  test.each([
    ['nowhere without the Service', [], []],
    ['at its load balancer', [serviceOf({}, balanced)], ['10.0.0.1', '10.0.0.9', 'lb.example.com']],
    ['at its external addresses', [serviceOf({ externalIPs: ['10.0.0.2'] })], ['10.0.0.2']],
    [
      'at its external name',
      [serviceOf({ type: 'ExternalName', externalName: 'a.b', externalIPs: ['1.1.1.1'] })],
      ['a.b'],
    ],
  ])('%s', (_what, objects, expected) => {
    expect(graphOf(objects, defaultMeshConfig).read(ingressPoints, 'all')).toEqual(pointsOf(expected));
  });

  test('at the nodes of running gateway pods where the mesh names no Service', () => {
    const pod = (name: string, nodeName: string, over: object = {}, labels: object = { istio: 'edge' }) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'istio-system', labels },
      spec: { nodeName },
      status: { phase: 'Running', podIP: `10.1.0.${name.length}`, ...over },
    });
    const node = (name: string, address: string) => ({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name },
      status: {
        addresses: [
          { type: 'InternalIP', address: '10.9.9.9' },
          { type: 'ExternalIP', address },
        ],
      },
    });
    const objects = [
      pod('a', 'one'),
      pod('bb', 'one'),
      pod('ccc', 'two', { phase: 'Pending' }),
      pod('dddd', 'three', {}, { istio: 'other' }),
      pod('eeeee', 'four'),
      ...['one', 'two', 'three'].map((name, at) => node(name, `192.0.2.${at + 1}`)),
    ];
    const graph = graphOf(objects, { ...defaultMeshConfig, ingressService: '', ingressSelector: 'edge' });
    expect(graph.read(ingressPoints, 'all')).toEqual([{ ip: '192.0.2.1' }]);
  });

  test('each once, in order, without what the API server would refuse', () => {
    const points = pointsOf(['b.example.com', '10.0.0.1', '', 'not a name', '::1', '10.0.0.1', 'a.example.com']);
    expect(points).toEqual([
      { ip: '10.0.0.1' },
      { ip: '::1' },
      { hostname: 'a.example.com' },
      { hostname: 'b.example.com' },
    ]);
  });
});
