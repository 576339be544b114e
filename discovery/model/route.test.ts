// VirtualServices: full names, gateways, delegates, visibility, and who speaks for a host.
import { describe, expect, it } from 'vitest';
import { resolveGatewayName } from '../../config/gateway-name.ts';
import { defaultMeshConfig } from '../../config/mesh.ts';
import { graphOf } from '../../test/support/world.ts';
import { virtualServices } from './route.ts';
import { routesOfService, scopeRoutesOf } from './scope-routes.ts';

const rules = (name: string, spec: object, namespace = 'default', metadata: object = {}) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name, namespace, ...metadata },
  spec,
});

const to = (host: string) => [{ destination: { host } }];
const world = (...items: Parameters<typeof graphOf>[0]) => graphOf(items, defaultMeshConfig);
const everyone = { namespace: 'default', scope: '', listener: 0 };

describe('names', () => {
  it('completes short hosts and destinations in the namespace of the VirtualService, in lower case', () => {
    const graph = world(rules('v', { hosts: ['Web', 'a.example.com'], http: [{ route: to('api') }] }, 'shop'));
    const found = graph.read(virtualServices, 'shop/v');
    expect(found?.hosts).toEqual(['web.shop.svc.cluster.local', 'a.example.com']);
    expect(found?.http[0]?.route?.[0]?.destination?.host).toBe('api.shop.svc.cluster.local');
    expect(found?.gateways).toEqual(['mesh']);
  });

  it.each([
    ['mesh', 'mesh'],
    ['gw', 'shop/gw'],
    ['./gw', 'shop/gw'],
    ['edge/gw', 'edge/gw'],
    ['gw.edge.svc.cluster.local', 'edge/gw'],
    ['gw.edge', 'edge/gw'],
  ])('reads the gateway %s as %s', (written, full) => {
    expect(resolveGatewayName(written, 'shop')).toBe(full);
  });
});

describe('delegates', () => {
  const root = (match: object[]) =>
    rules('root', {
      hosts: ['a.com'],
      http: [{ match, delegate: { name: 'leaf', namespace: 'team' }, timeout: '3s' }],
    });
  const leaf = (spec: object) => rules('leaf', spec, 'team');
  const httpOf = (...items: Parameters<typeof graphOf>[0]) =>
    world(...items).read(virtualServices, 'default/root')?.http ?? [];

  it('stand in place of the route that names them, narrowed by its match, with its settings where they have none', () => {
    const http = httpOf(
      root([{ uri: { prefix: '/p' } }]),
      leaf({
        http: [
          { match: [{ uri: { prefix: '/p/1' } }], route: to('one'), timeout: '9s' },
          { match: [{ uri: { prefix: '/other' } }], route: to('two') },
          { route: to('rest') },
        ],
      }),
    );
    expect(
      http.map((route) => [route.match?.[0]?.uri?.prefix, route.route?.[0]?.destination?.host, route.timeout]),
    ).toEqual([
      ['/p/1', 'one.team.svc.cluster.local', '9s'],
      ['/p', 'rest.team.svc.cluster.local', '3s'],
    ]);
    expect(http.some((route) => route.delegate !== undefined)).toBe(false);
  });

  it('that appear or change are taken up, and those that are not exported are left out', () => {
    expect(httpOf(root([]), leaf({ exportTo: ['.'], http: [{ route: to('one') }] }))).toEqual([]);
    const shown = world(root([]), leaf({ http: [{ route: to('one') }] }));
    expect(shown.read(virtualServices, 'default/root')?.http).toHaveLength(1);
    expect(shown.read(virtualServices, 'team/leaf')).toBeUndefined();
  });

  it('with hosts stand for themselves: in a circle nobody gets routes of another, and their own stay', () => {
    const one = rules('one', { hosts: ['1.com'], http: [{ delegate: { name: 'two' } }, { route: to('own') }] });
    const two = rules('two', { hosts: ['2.com'], http: [{ delegate: { name: 'one' } }] });
    const self = rules('self', { hosts: ['3.com'], http: [{ delegate: { name: 'self' } }] });
    const graph = world(one, two, self);
    const routesOf = (name: string) => graph.read(virtualServices, `default/${name}`)?.http.length;
    expect(['one', 'two', 'self'].map(routesOf)).toEqual([1, 0, 0]);
  });

  const exact = (text: string) => ({ uri: { exact: text } });
  const header = (match: object) => ({ headers: { x: match } });
  it.each<readonly [what: string, root: readonly object[], leaf: readonly object[], conditions: number]>([
    ['a path below', [{ uri: { prefix: '/a' } }], [exact('/a/b')], 1],
    ['a path beside', [{ uri: { prefix: '/a' } }], [exact('/b')], 0],
    ['a wider path', [exact('/a')], [{ uri: { prefix: '/a' } }], 0],
    ['one condition in two of the root', [{ uri: { prefix: '/' } }, { uri: { prefix: '/a' } }], [exact('/a')], 2],
    ['one condition of two beside', [{ uri: { prefix: '/a' } }], [exact('/a/1'), exact('/b')], 0],
    ['expressions', [{ uri: { regex: '/.*' } }], [exact('/a')], 0],
    ['an expression where the root says nothing', [{ method: { exact: 'GET' } }], [{ uri: { regex: '/.*' } }], 1],
    ['presence and a value', [header({})], [header({ exact: '1' })], 0],
    ['another port', [{ port: 80 }], [{ port: 81 }], 0],
    ['another label', [{ sourceLabels: { a: 'b' } }], [{ sourceLabels: { a: 'c' } }], 0],
    ['the same namespace', [{ sourceNamespace: 'a' }], [{ sourceNamespace: 'a' }], 1],
    ['all namespaces', [{ sourceNamespace: 'a' }], [{ port: 80 }], 0],
    ['a gateway by its short name', [{ gateways: ['team/gw', 'mesh'] }], [{ gateways: ['gw'] }], 1],
    ['a gateway of the same short name', [{ gateways: ['gw'] }], [{ gateways: ['gw'] }], 0],
  ])('%s', (_, outer, inner, conditions) => {
    const http = httpOf(root([...outer]), leaf({ http: [{ match: inner, route: to('one') }] }));
    expect(http.flatMap(({ match }) => match ?? [])).toHaveLength(conditions);
    expect(http).toHaveLength(Math.min(conditions, 1));
  });
});

describe('who speaks for a host', () => {
  const keys = (graph: ReturnType<typeof world>, hostname: string, client = everyone) =>
    graph.read(routesOfService, { ...client, hostname });

  it('is the most specific host, and of equal ones the oldest', () => {
    const graph = world(
      rules('wide', { hosts: ['*.com'], http: [{ route: to('x') }] }),
      rules('narrow', { hosts: ['*.example.com'], http: [{ route: to('x') }] }),
      rules('young', { hosts: ['a.example.com'] }, 'default', { creationTimestamp: '2024-02-01T00:00:00Z' }),
      rules('old', { hosts: ['a.example.com'] }, 'default', { creationTimestamp: '2024-01-01T00:00:00Z' }),
    );
    expect(keys(graph, 'a.example.com')).toEqual(['default/old', 'default/young']);
    expect(keys(graph, 'b.example.com')).toEqual(['default/narrow']);
    expect(keys(graph, 'c.com')).toEqual(['default/wide']);
    expect(keys(graph, 'c.org')).toEqual([]);
  });

  it('is one that the client may see, its own private ones first', () => {
    const graph = world(
      rules('public', { hosts: ['a.com'] }, 'aaa'),
      rules('private', { hosts: ['a.com'], exportTo: ['.'] }, 'shop'),
    );
    const own = { namespace: 'shop', scope: '', listener: 0 };
    expect(keys(graph, 'a.com', own)).toEqual(['shop/private', 'aaa/public']);
    expect(keys(graph, 'a.com')).toEqual(['aaa/public']);
    expect(graph.read(scopeRoutesOf, { ...everyone, of: 'shop' })).toEqual([]);
  });
});
