// Endpoints as clients get them: by health, place, network and subset.
import { describe, expect, it } from 'vitest';
import {
  endpoints,
  entry,
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

  it('prefer the zone or node where the service asks for it, and stay on the node where it demands it', () => {
    const with_ = (spec: object): Raw => {
      const own = (web as unknown as { spec: object }).spec;
      return service('web', { ...own, ...spec });
    };
    const close = view([with_({ trafficDistribution: 'PreferSameZone' }), ...nodes, ...pods]);
    expect(spread(close)).toEqual([
      [0, 1, '10.1.0.1'],
      [1, 1, '10.1.0.2'],
      [2, 1, '10.1.0.3'],
    ]);
    expect(spread(view([with_({ internalTrafficPolicy: 'Local' }), ...nodes, ...pods]))).toEqual([[0, 1, '10.1.0.1']]);
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
