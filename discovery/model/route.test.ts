// VirtualServices: full names, gateways, delegates, visibility, and who speaks for a host.
import { describe, expect, it } from 'vitest';
import { defaultMeshConfig } from '../../config/mesh.ts';
import { graphOf } from '../../test/support/world.ts';
import { resolveGatewayName, virtualServices } from './route.ts';
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

  it('stand in place of the route that names them, narrowed by its match', () => {
    const graph = world(
      root([{ uri: { prefix: '/p' } }]),
      leaf({
        http: [
          { match: [{ uri: { prefix: '/p/1' } }], route: to('one'), timeout: '9s' },
          { match: [{ uri: { prefix: '/other' } }], route: to('two') },
          { route: to('rest') },
        ],
      }),
    );
    const http = graph.read(virtualServices, 'default/root')?.http ?? [];
    expect(
      http.map((route) => [route.match?.[0]?.uri?.prefix, route.route?.[0]?.destination?.host, route.timeout]),
    ).toEqual([
      ['/p/1', 'one.team.svc.cluster.local', '3s'],
      ['/p', 'rest.team.svc.cluster.local', '3s'],
    ]);
    expect(http.some((route) => route.delegate !== undefined)).toBe(false);
  });

  it('that appear or change are taken up, and those that are not exported are left out', () => {
    const hidden = leaf({ exportTo: ['.'], http: [{ route: to('one') }] });
    const graph = world(root([]), hidden);
    expect(graph.read(virtualServices, 'default/root')?.http).toEqual([]);
    const shown = world(root([]), leaf({ http: [{ route: to('one') }] }));
    expect(shown.read(virtualServices, 'default/root')?.http).toHaveLength(1);
    expect(shown.read(virtualServices, 'team/leaf')).toBeUndefined();
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
