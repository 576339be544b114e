// Endpoints as clients get them: by health, place, network and subset.
import { describe, expect, it } from 'vitest';
import {
  endpoints,
  entry,
  node,
  nodes,
  pod,
  pods,
  type Raw,
  raw,
  rule,
  service,
  spread,
  view,
  web,
} from '../../../test/support/cluster-world.ts';

describe('endpoints', () => {
  const outlierDetection = { consecutive5xxErrors: 3 };
  const world = [web, ...nodes, ...pods];

  it('stand by locality, and none goes first without outlier detection', () => {
    expect(spread(view(world))).toEqual([
      [0, 1, '10.1.0.1'],
      [0, 1, '10.1.0.2'],
      [0, 1, '10.1.0.3'],
    ]);
  });

  it('fail over by distance', () => {
    const seen = view([...world, rule({ host: 'web', trafficPolicy: { outlierDetection } })]);
    expect(spread(seen)).toEqual([
      [0, 1, '10.1.0.1'],
      [1, 1, '10.1.0.2'],
      [2, 1, '10.1.0.3'],
    ]);
  });

  it('fail over by labels', () => {
    const localityLbSetting = { failoverPriority: ['topology.kubernetes.io/region'] };
    const trafficPolicy = { outlierDetection, loadBalancer: { localityLbSetting } };
    expect(spread(view([...world, rule({ host: 'web', trafficPolicy })]))).toEqual([
      [0, 1, '10.1.0.1'],
      [0, 1, '10.1.0.2'],
      [1, 1, '10.1.0.3'],
    ]);
  });

  it('are distributed as the rule says; what it does not name gets nothing', () => {
    const localityLbSetting = { distribute: [{ from: 'r1/*', to: { 'r1/a': 80, 'r2/*': 20 } }] };
    const trafficPolicy = { loadBalancer: { localityLbSetting } };
    expect(spread(view([...world, rule({ host: 'web', trafficPolicy })]))).toEqual([
      [0, 80, '10.1.0.1'],
      [0, 1],
      [0, 20, '10.1.0.3'],
    ]);
  });

  describe('of a service that asks for it', () => {
    const asking = (spec: object, more: object = {}): Raw => {
      const own = (web as unknown as { spec: object }).spec;
      return service('web', { ...own, ...spec }, more);
    };
    const annotated = { annotations: { 'networking.istio.io/traffic-distribution': 'preferSameNode' } };
    // A second node in the client's own zone, and sub-zones for both.
    const local = [
      node('n1', 'r1', 'a', 's1'),
      node('n4', 'r1', 'a', 's1'),
      node('n5', 'r1', 'a', 's2'),
      ...nodes.slice(1),
    ];
    const all = [...local, ...pods, pod('w4', '10.1.0.4', 'n4'), pod('w5', '10.1.0.5', 'n5')];
    const here = { locality: { region: 'r1', zone: 'a', subzone: 's1' } };
    const byZone = [
      [0, 2, '10.1.0.1', '10.1.0.4'],
      [1, 1, '10.1.0.5'],
      [2, 1, '10.1.0.2'],
      [3, 1, '10.1.0.3'],
    ];
    const byNode = [
      [0, 1, '10.1.0.1'],
      [1, 1, '10.1.0.4'],
      [2, 1, '10.1.0.5'],
      [3, 1, '10.1.0.2'],
      [4, 1, '10.1.0.3'],
    ];

    it.each([
      ['PreferClose', asking({ trafficDistribution: 'PreferClose' }), byZone],
      ['PreferSameZone', asking({ trafficDistribution: 'PreferSameZone' }), byZone],
      ['PreferSameNode', asking({ trafficDistribution: 'PreferSameNode' }), byNode],
      ['the annotation', asking({}, { metadata: annotated }), byNode],
    ])('prefer what is near, without outlier detection: %s', (_what, asked, expected) => {
      expect(spread(view([asked, ...all], here))).toEqual(expected);
    });

    it('prefer it where the namespace is annotated so, until the service says otherwise', () => {
      const namespace = raw('v1', 'Namespace', 'default', {}, { metadata: { namespace: '', ...annotated } });
      expect(spread(view([web, namespace, ...all], here))).toEqual(byNode);
      expect(spread(view([asking({ trafficDistribution: 'PreferClose' }), namespace, ...all], here))).toEqual(byZone);
    });

    it('rank as the rule says, where there is one', () => {
      const localityLbSetting = { failoverPriority: ['topology.kubernetes.io/region'] };
      const ruled = rule({ host: 'web', trafficPolicy: { outlierDetection, loadBalancer: { localityLbSetting } } });
      const seen = view([asking({ trafficDistribution: 'PreferSameNode' }), ruled, ...nodes, ...pods]);
      expect(spread(seen)).toEqual([
        [0, 1, '10.1.0.1'],
        [0, 1, '10.1.0.2'],
        [1, 1, '10.1.0.3'],
      ]);
    });

    it('are only those of the client’s node with internalTrafficPolicy: Local', () => {
      const strict = [asking({ internalTrafficPolicy: 'Local', trafficDistribution: 'PreferSameZone' }), ...all];
      const of = (proxy: object): unknown => spread(view(strict, { ...here, ...proxy }));
      expect(of({})).toEqual([[0, 1, '10.1.0.1']]);
      expect(of({ nodeName: 'n4' })).toEqual([[0, 1, '10.1.0.4']]);
      expect(of({ nodeName: 'n9' })).toEqual([]);
      // What the registry knows of a proxy's pod tells the node, where the proxy does not.
      const known = { nodeName: '', ipAddresses: ['10.1.0.5'], workload: { name: 'w5', namespace: 'default' } };
      expect(of(known)).toEqual([[0, 1, '10.1.0.5']]);
    });

    it('that is strict are none outside of nodes, such as WorkloadEntries', () => {
      const vm = raw('networking.istio.io/v1', 'WorkloadEntry', 'vm', { address: '10.8.0.1', labels: { app: 'web' } });
      const strict = asking({ internalTrafficPolicy: 'Local' });
      expect(spread(view([strict, ...nodes, ...pods, vm]))).toEqual([[0, 1, '10.1.0.1']]);
      expect(spread(view([asking({ internalTrafficPolicy: 'Cluster' }), ...nodes, ...pods, vm]))).toHaveLength(4);
    });
  });

  it('fail over by the name of the node, where a rule ranks by it', () => {
    const localityLbSetting = { failoverPriority: ['kubernetes.io/hostname'] };
    const trafficPolicy = { outlierDetection, loadBalancer: { localityLbSetting } };
    const seen = view([...world, pod('w4', '10.1.0.4', 'n2'), rule({ host: 'web', trafficPolicy })], {
      nodeName: 'n2',
    });
    expect(spread(seen)).toEqual([
      [1, 1, '10.1.0.1'],
      [0, 2, '10.1.0.2', '10.1.0.4'],
      [1, 1, '10.1.0.3'],
    ]);
  });

  it('that are not ready are marked, or left out where a share of healthy ones is demanded', () => {
    const unready = pod('w4', '10.1.0.4', 'n1', {}, false);
    expect(JSON.stringify(endpoints(view([web, unready, ...nodes])))).toContain('UNHEALTHY');
    const strict = rule({ host: 'web', trafficPolicy: { outlierDetection: { minHealthPercent: 10 } } });
    expect(spread(view([web, unready, ...nodes, strict]))).toEqual([]);
  });

  it('without mTLS by policy are not offered it', () => {
    const policy = raw('security.istio.io/v1', 'PeerAuthentication', 'p', {
      selector: { matchLabels: { app: 'web' } },
      portLevelMtls: { '8080': { mode: 'DISABLE' } },
    });
    expect(JSON.stringify(endpoints(view([...world, policy])))).not.toContain('tlsMode');
    expect(JSON.stringify(endpoints(view(world)))).toContain('"tlsMode":"istio"');
  });

  it('of other networks are reached through their gateways, with the weight of what is behind', () => {
    const far = { 'topology.istio.io/network': 'far' };
    const gateway = service(
      'eastwest',
      { clusterIP: '10.96.0.2', type: 'LoadBalancer', ports: [{ name: 'tls', port: 15443 }] },
      { metadata: { labels: far }, status: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } } },
    );
    const remote = [pod('f1', '10.2.0.1', 'n3', far), pod('f2', '10.2.0.2', 'n3', far)];
    const plain = pod('f3', '10.2.0.3', 'n3', { ...far, 'security.istio.io/tlsMode': 'disabled' });
    const seen = view([web, gateway, ...nodes, pods[0] as Raw, ...remote, plain], { network: 'near' });
    expect(spread(seen)).toEqual([
      [0, 1, '10.1.0.1'],
      [0, 2, '203.0.113.1'],
    ]);
  });

  it('of a subset are those with its labels', () => {
    const subsets = [{ name: 'v2', labels: { version: 'v2' } }];
    const v2 = pod('w5', '10.1.0.5', 'n1', { version: 'v2' });
    const seen = view([...world, v2, rule({ host: 'web', subsets })]);
    expect(spread(seen, 'outbound|80|v2|web.default.svc.cluster.local')).toEqual([[0, 1, '10.1.0.5']]);
  });

  it('of an unknown name are none, so that its cluster need not wait; a DNS cluster has no assignment', () => {
    const ports = [{ number: 80, name: 'http', protocol: 'HTTP' }];
    const seen = view([entry('e', { hosts: ['e.example.com'], resolution: 'DNS', ports })]);
    expect(endpoints(seen, 'outbound|1||nobody')).toMatchObject({ clusterName: 'outbound|1||nobody' });
    expect(endpoints(seen, 'outbound|80||e.example.com')).toBeUndefined();
  });
});
