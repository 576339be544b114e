// DestinationRules: which apply, how they merge, and what policy a port or subset gets; and mutual TLS modes.
import { describe, expect, it } from 'vitest';
import { Graph } from '../graph/graph.ts';
import { appliedRule, destinationRuleCollections } from './destination-rules.ts';
import { mtlsCollections, mtlsModeOf, mtlsPortsOf, namespaceMtls, workloadMtls } from './mtls.ts';
import { factsInput, meshInput, objects } from './objects.ts';
import { mergedRule, trafficPolicyOf } from './traffic-policy.ts';

const facts = { cluster: 'Kubernetes', domain: 'cluster.local', systemNamespace: 'istio-system', features: {} };

interface Written {
  readonly name: string;
  readonly namespace: string;
  readonly spec: object;
  readonly age?: number;
}

function world(kind: 'DestinationRule' | 'PeerAuthentication', items: readonly Written[]): Graph {
  const graph = new Graph([...destinationRuleCollections, ...mtlsCollections]);
  graph.write(meshInput, 'mesh', { rootNamespace: 'istio-system' } as never);
  graph.write(factsInput, 'facts', facts);
  for (const { name, namespace, spec, age = 0 } of items) {
    const creationTimestamp = `2020-01-01T00:00:0${age}Z`;
    const metadata = { name, namespace, creationTimestamp };
    graph.write(objects[kind] as never, `${namespace}/${name}`, {
      apiVersion: 'x/v1',
      kind,
      metadata,
      spec,
    } as never);
  }
  return graph;
}

const rule = (name: string, namespace: string, spec: object, age = 0): Written => ({ name, namespace, spec, age });
const web = { hostname: 'web.default.svc.cluster.local', serviceNamespace: 'default' };
const simple = (name: string): object => ({ loadBalancer: { simple: name } });

describe('destination rules', () => {
  it.each([
    ['the client namespace first', 'client', 'client/own'],
    ["else the service's namespace", 'other', 'default/theirs'],
    ['the root namespace last', 'istio-system', 'default/theirs'],
  ])('are looked up in %s', (_title, namespace, expected) => {
    const { read } = world('DestinationRule', [
      rule('own', 'client', { host: web.hostname, trafficPolicy: {} }),
      rule('theirs', 'default', { host: 'web', trafficPolicy: {} }),
      rule('all', 'istio-system', { host: '*.local', trafficPolicy: {} }),
    ]);
    expect(appliedRule(read, { namespace, ...web }, {})).toBe(expected);
  });

  it('prefer the more specific host, and the root namespace counts where nothing else does', () => {
    const { read } = world('DestinationRule', [
      rule('wide', 'default', { host: '*.cluster.local' }),
      rule('narrow', 'default', { host: '*.default.svc.cluster.local' }),
      rule('all', 'istio-system', { host: '*' }),
    ]);
    expect(appliedRule(read, { namespace: 'default', ...web }, {})).toBe('default/narrow');
    expect(appliedRule(read, { namespace: 'a', hostname: 'x.com', serviceNamespace: 'b' }, {})).toBe(
      'istio-system/all',
    );
  });

  it('are not seen where they are not exported', () => {
    const { read } = world('DestinationRule', [
      rule('private', 'default', { host: 'web', exportTo: ['.'] }),
      rule('some', 'elsewhere', { host: 'api', exportTo: ['a'] }),
    ]);
    expect(appliedRule(read, { namespace: 'other', ...web }, {})).toBe('');
    expect(appliedRule(read, { namespace: 'default', ...web }, {})).toBe('default/private');
    const api = { hostname: 'api.elsewhere.svc.cluster.local', serviceNamespace: 'elsewhere' };
    expect(appliedRule(read, { namespace: 'a', ...api }, {})).toBe('elsewhere/some');
    expect(appliedRule(read, { namespace: 'b', ...api }, {})).toBe('');
  });

  it('of one host merge: subsets of all, policy of the oldest', () => {
    const { read } = world('DestinationRule', [
      rule('b', 'default', { host: 'web', trafficPolicy: simple('RANDOM'), subsets: [{ name: 'v2' }] }, 2),
      rule('a', 'default', { host: 'web', subsets: [{ name: 'v1' }, { name: 'v2', labels: { x: 'y' } }] }, 1),
    ]);
    const applied = appliedRule(read, { namespace: 'default', ...web }, {});
    expect(applied).toBe('default/a,default/b');
    const merged = read(mergedRule, applied);
    expect(merged?.subsets).toEqual([{ name: 'v1' }, { name: 'v2', labels: { x: 'y' } }]);
    expect(merged?.trafficPolicy).toEqual(simple('RANDOM'));
    expect(merged?.path).toBe('/apis/x/v1/namespaces/default/destination-rule/a');
  });

  it('with a selector are for the workloads that they select', () => {
    const { read } = world('DestinationRule', [
      rule('general', 'default', { host: 'web' }),
      rule('chosen', 'default', { host: 'web', workloadSelector: { matchLabels: { app: 'a' } } }),
    ]);
    const key = { namespace: 'default', ...web };
    expect(appliedRule(read, key, { app: 'a' })).toBe('default/chosen');
    expect(appliedRule(read, key, { app: 'b' })).toBe('default/general');
    expect(appliedRule(read, key, { app: 'a' }, 'inbound')).toBe('default/general');
    expect(appliedRule(read, { ...key, namespace: 'other' }, { app: 'a' })).toBe('default/general');
  });
});

describe('a traffic policy', () => {
  it('is that of the host, under that of the subset, replaced by port', () => {
    const tls = { mode: 'SIMPLE' };
    const { read } = world('DestinationRule', [
      rule('r', 'default', {
        host: 'web',
        trafficPolicy: {
          ...simple('RANDOM'),
          tls,
          tunnel: { targetHost: 'x', targetPort: 1 },
          portLevelSettings: [{ port: { number: 81 }, ...simple('ROUND_ROBIN') }],
        },
        subsets: [{ name: 'v1', trafficPolicy: { connectionPool: { tcp: { maxConnections: 1 } } } }],
      }),
    ]);
    const of = (port: number, subset: string): unknown => trafficPolicyOf(read, { rule: 'default/r', port, subset });
    const tunnel = { targetHost: 'x', targetPort: 1 };
    expect(of(80, '')).toEqual({ ...simple('RANDOM'), tls, tunnel });
    expect(of(81, '')).toEqual({ ...simple('ROUND_ROBIN'), tunnel });
    expect(of(80, 'v1')).toEqual({
      ...simple('RANDOM'),
      tls,
      tunnel,
      connectionPool: { tcp: { maxConnections: 1 } },
    });
    expect(trafficPolicyOf(read, { rule: '', port: 80, subset: '' })).toEqual({});
  });
});

describe('mutual TLS', () => {
  const mode = (value: string): object => ({ mtls: { mode: value } });

  it('is inherited from mesh to namespace to workload to port; the oldest policy of a scope counts', () => {
    const { read } = world('PeerAuthentication', [
      rule('mesh', 'istio-system', mode('STRICT'), 1),
      rule('mesh-2', 'istio-system', mode('DISABLE'), 2),
      rule('unset', 'a', mode('UNSET')),
      rule('ns', 'b', mode('DISABLE')),
      rule('workload', 'b', {
        selector: { matchLabels: { app: 'x' } },
        mtls: { mode: 'PERMISSIVE' },
        portLevelMtls: { '80': { mode: 'STRICT' }, '90': { mode: 'UNSET' } },
      }),
    ]);
    const of = (namespace: string, labels: Record<string, string>, port = 0): string =>
      read(workloadMtls, { namespace, labels, port });
    expect(of('z', {})).toBe('STRICT');
    expect(of('a', {})).toBe('STRICT');
    expect(of('b', {})).toBe('DISABLE');
    expect(of('b', { app: 'x' })).toBe('PERMISSIVE');
    expect(of('b', { app: 'x' }, 80)).toBe('STRICT');
    expect(of('b', { app: 'x' }, 90)).toBe('PERMISSIVE');
    const policies = read(namespaceMtls, 'b');
    expect([...mtlsPortsOf(policies, { app: 'x' })]).toEqual([
      [80, 'STRICT'],
      [90, 'PERMISSIVE'],
    ]);
    expect(mtlsModeOf(policies, {}, 80)).toBe('DISABLE');
  });

  it('is permissive where nothing is said', () => {
    const { read } = world('PeerAuthentication', []);
    expect(read(workloadMtls, { namespace: 'a', labels: {}, port: 80 })).toBe('PERMISSIVE');
    expect(read(namespaceMtls, 'a').mode).toBeUndefined();
  });
});
