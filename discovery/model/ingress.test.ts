// Ingresses: which are served, the Gateways and VirtualServices that they stand for, and where they are reached.
import { describe, expect, test } from 'vitest';
import type { Ingress } from '../../config/kinds/ingress.ts';
import type { IngressClass } from '../../config/kinds/ingress-class.ts';
import { defaultMeshConfig, type MeshConfig } from '../../config/mesh.ts';
import { graphOf, testFacts } from '../../test/support/world.ts';
import { writeObjects } from '../world.ts';
import { mergedGateways } from './gateways.ts';
import { gatewayOf, gatewaySelector, isSelected, servesIngress } from './ingress.ts';
import { ingressPoints, pointsOf } from './ingress-points.ts';
import { routesByGateway, virtualServices } from './route.ts';

const apiVersion = 'networking.k8s.io/v1';
const ingressOf = (name: string, spec: object = {}, metadata: object = {}) => ({
  apiVersion,
  kind: 'Ingress',
  metadata: { name, namespace: 'shop', annotations: { 'kubernetes.io/ingress.class': 'istio' }, ...metadata },
  spec,
});
const classOf = (name: string, controller: string) => ({
  apiVersion,
  kind: 'IngressClass',
  metadata: { name },
  spec: { controller },
});
const to = (name: string, port: object = { number: 80 }) => ({ backend: { service: { name, port } } });
const paths = (...list: readonly object[]) => ({ http: { paths: list } });

const meshOf = (over: Partial<MeshConfig> = {}): MeshConfig => ({ ...defaultMeshConfig, ...over });
const world = (objects: Parameters<typeof graphOf>[0], over: Partial<MeshConfig> = {}, features = {}) =>
  graphOf(objects, meshOf(over), { ...testFacts, features });

describe('an Ingress is served', () => {
  const ours = classOf('ours', 'istio.io/ingress-controller') as unknown as IngressClass;
  const theirs = classOf('theirs', 'k8s.io/ingress-nginx') as unknown as IngressClass;
  const istio = { 'kubernetes.io/ingress.class': 'istio' };
  const nginx = { 'kubernetes.io/ingress.class': 'nginx' };
  test.each<[string, object | undefined, string | undefined, IngressClass | undefined, string]>([
    ['without a class', undefined, undefined, undefined, 'DEFAULT'],
    ['annotated with our class', istio, undefined, undefined, 'DEFAULT STRICT'],
    ["annotated with another's", nginx, undefined, undefined, ''],
    ['of a class of our controller', undefined, 'ours', ours, 'DEFAULT STRICT'],
    ["of a class of another's controller", undefined, 'theirs', theirs, ''],
    ['of a class that does not exist', undefined, 'istio', undefined, ''],
    ['of a class that does not exist, though annotated', istio, 'istio', undefined, ''],
    ["annotated with our class, of another's", istio, 'theirs', theirs, 'DEFAULT STRICT'],
    ["annotated with another's, of ours", nginx, 'ours', ours, ''],
  ])('%s', (_what, annotations, ingressClassName, named, modes) => {
    const ingress = ingressOf('a', { ingressClassName }, { annotations }) as unknown as Ingress;
    const served = (['OFF', 'DEFAULT', 'STRICT'] as const).filter((ingressControllerMode) =>
      isSelected(meshOf({ ingressControllerMode }), ingress, named),
    );
    expect(served.join(' ')).toBe(modes);
  });

  test('as long as its class, its namespace and the mesh say so', () => {
    const plain = ingressOf('a', { ingressClassName: 'one' }, { annotations: {} });
    const graph = world([plain]);
    const put = (controller: string) =>
      writeObjects(graph, [
        { kind: 'IngressClass', key: '/one', object: classOf('one', controller) as unknown as IngressClass },
      ]);
    expect(graph.read(servesIngress, 'shop/a')).toBe(false);
    put('istio.io/ingress-controller');
    expect(graph.read(servesIngress, 'shop/a')).toBe(true);
    put('k8s.io/ingress-nginx');
    expect(graph.read(servesIngress, 'shop/a')).toBe(false);
    const selectors = { discoverySelectors: [{ matchLabels: { mesh: 'yes' } }] };
    expect(world([ingressOf('a')], selectors).read(servesIngress, 'shop/a')).toBe(false);
  });
});

test.each([
  [{}, 'ingressgateway'],
  [{ ingressService: 'istio-ingressgateway' }, 'ingressgateway'],
  [{ ingressService: '' }, 'ingressgateway'],
  [{ ingressService: 'edge' }, 'edge'],
  [{ ingressService: 'edge', ingressSelector: 'pods' }, 'pods'],
])('the gateway of %j has label istio: %s', (over, istio) => {
  expect(gatewaySelector(meshOf(over))).toEqual({ istio });
});

test('its Gateway has a server for each certificate, and one for plain HTTP', () => {
  const tls = [{ hosts: ['a.com', 'b.com'], secretName: 'cert' }, { hosts: ['c.com'] }, { secretName: 'all' }];
  const ingress = ingressOf('web', { tls }) as unknown as Ingress;
  const secure = (index: number, hosts: readonly string[], credentialName: string) => ({
    port: { number: 443, protocol: 'HTTPS', name: `https-443-ingress-web-shop-${index}` },
    hosts,
    tls: { mode: 'SIMPLE', credentialName },
  });
  expect(gatewayOf(ingress, { istio: 'ingressgateway' }, 'edge')).toEqual({
    apiVersion: 'networking.istio.io/v1',
    kind: 'Gateway',
    metadata: { name: 'web-istio-autogenerated-k8s-ingress-shop', namespace: 'edge' },
    spec: {
      selector: { istio: 'ingressgateway' },
      servers: [
        secure(0, ['a.com', 'b.com'], 'cert'),
        secure(2, ['*'], 'all'),
        { port: { number: 80, protocol: 'HTTP', name: 'http-80-ingress-web-shop' }, hosts: ['*'] },
      ],
    },
  });
});

describe('routes', () => {
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'shop' },
    spec: { ports: [{ name: 'http', port: 8080 }] },
  };
  const routesAt = (graph: ReturnType<typeof world>, gateway: string) =>
    graph.read(routesByGateway, `istio-system/${gateway}-istio-autogenerated-k8s-ingress-shop`).map((key) => {
      const { hosts = [], name, namespace, http = [], paths: semantics } = graph.read(virtualServices, key) ?? {};
      expect(semantics).toBe('separated');
      const routes = http.map(({ match, route }) => {
        const { exact, prefix } = match?.[0]?.uri ?? {};
        const { host = '', port } = route?.[0]?.destination ?? {};
        const uri = exact === undefined ? (prefix === undefined ? 'any' : `${prefix}*`) : exact;
        return `${uri} ${host.split('.').slice(0, 2).join('.')}:${port?.number}`;
      });
      return { hosts, name, namespace, routes };
    });

  test.each([
    ['Exact', '/a', '/a web.shop:80'],
    ['Exact', '/a/*', '/a/* web.shop:80'],
    ['Prefix', '/a', '/a* web.shop:80'],
    ['Prefix', '/', '/* web.shop:80'],
    ['Prefix', '/a//', '/a/* web.shop:80'],
    ['Prefix', '//', '/* web.shop:80'],
    ['Prefix', '', '/* web.shop:80'],
    ['Prefix', '/a?b', undefined],
    ['Prefix', 'a', undefined],
    ['ImplementationSpecific', '', 'any web.shop:80'],
    ['ImplementationSpecific', '*', 'any web.shop:80'],
    ['ImplementationSpecific', '/*', 'any web.shop:80'],
    ['ImplementationSpecific', '.*', 'any web.shop:80'],
    ['ImplementationSpecific', '/.*', '/* web.shop:80'],
    ['ImplementationSpecific', '/a.*', '/a* web.shop:80'],
    ['ImplementationSpecific', '/a/*', '/a* web.shop:80'],
    ['ImplementationSpecific', '/a', '/a web.shop:80'],
    ['ImplementationSpecific', '/a(/|$)?', '/a(/|$)? web.shop:80'],
    [undefined, '/a/*', '/a* web.shop:80'],
  ])('%s %j: %s', (pathType, path, expected) => {
    const graph = world([service, ingressOf('a', { rules: [paths({ path, pathType, ...to('web') })] })]);
    expect(routesAt(graph, 'a').flatMap(({ routes }) => routes)).toEqual(expected === undefined ? [] : [expected]);
  });

  test.each([
    [to('web', { number: 80 }), ['web.shop:80']],
    [to('web', { name: 'http' }), ['web.shop:8080']],
    [to('web', { name: 'grpc' }), []],
    [to('gone', { name: 'http' }), []],
    [to('gone', { number: 80 }), ['gone.shop:80']],
    [{ backend: { resource: { kind: 'Bucket', name: 'b' } } }, []],
    [{}, []],
  ])('backend %j: %j', (backend, expected) => {
    const graph = world([service, ingressOf('a', { rules: [paths({ path: '/a', pathType: 'Exact', ...backend })] })]);
    expect(routesAt(graph, 'a').flatMap(({ routes }) => routes)).toEqual(expected.map((one) => `/a ${one}`));
  });

  test('follow the number of a named port', () => {
    const rules = [paths({ path: '/a', pathType: 'Exact', ...to('web', { name: 'http' }) })];
    const graph = world([service, ingressOf('a', { rules })]);
    const object = { ...service, spec: { ports: [{ name: 'http', port: 9090 }] } };
    writeObjects(graph, [{ kind: 'Service', key: 'shop/web', object: object as never }]);
    expect(routesAt(graph, 'a')[0]?.routes).toEqual(['/a web.shop:9090']);
  });

  test('the longest path wins, of equals the exact one; what takes everything comes last', () => {
    const list = [
      { path: '/', pathType: 'Prefix', ...to('all') },
      { pathType: 'ImplementationSpecific', ...to('any') },
      { path: '/a/b', pathType: 'Prefix', ...to('deep') },
      { path: '/a', pathType: 'Prefix', ...to('a') },
      { path: '/a', pathType: 'Exact', ...to('exact') },
    ];
    const graph = world([ingressOf('a', { rules: [paths(...list)] })]);
    expect(routesAt(graph, 'a')).toEqual([
      {
        hosts: ['*'],
        name: '*-a-istio-autogenerated-k8s-ingress',
        namespace: 'shop',
        routes: ['/a/b* deep.shop:80', '/a exact.shop:80', '/a* a.shop:80', '/* all.shop:80', 'any any.shop:80'],
      },
    ]);
  });

  test('all Ingresses for a host add up at the Gateway of the oldest, and its paths win over equal ones', () => {
    const one = (backend: string, path = '/same') => ({
      rules: [{ host: 'a.example.com', ...paths({ path, pathType: 'Prefix', ...to(backend) }) }],
    });
    const aged = (year: number, namespace = 'shop') => ({ creationTimestamp: `${year}-01-01T00:00:00Z`, namespace });
    const graph = world([
      ingressOf('young', one('young'), aged(2024)),
      ingressOf('old', one('old'), aged(2020)),
      ingressOf('other', one('other', '/other/longer'), aged(2022, 'team')),
      ingressOf('ignored', one('ignored'), { annotations: { 'kubernetes.io/ingress.class': 'nginx' } }),
    ]);
    expect(routesAt(graph, 'young')).toEqual([]);
    const found = () => routesAt(graph, 'old');
    expect(found()).toEqual([
      {
        hosts: ['a.example.com'],
        name: 'a-example-com-old-istio-autogenerated-k8s-ingress',
        namespace: 'shop',
        routes: ['/other/longer* other.team:80', '/same* old.shop:80', '/same* young.shop:80'],
      },
    ]);
    writeObjects(graph, [{ kind: 'Ingress', key: 'shop/old', object: undefined }]);
    expect(found()).toEqual([]);
    expect(routesAt(graph, 'young')).toEqual([]);
    const gateway = 'istio-system/other-istio-autogenerated-k8s-ingress-team';
    expect(graph.read(routesByGateway, gateway)).toHaveLength(1);
  });

  test('rest on the Ingress, so that explanations name it', () => {
    const graph = world([ingressOf('a', { rules: [paths({ path: '/', pathType: 'Prefix', ...to('web') })] })]);
    const [key = ''] = graph.read(routesByGateway, 'istio-system/a-istio-autogenerated-k8s-ingress-shop');
    const inputs = graph.inputsOf(virtualServices as never, key as never).map(({ node, id }) => `${node} ${id}`);
    expect(inputs).toContain('Ingress shop/a');
  });
});

test('a gateway proxy listens for Ingresses beside its Gateways, in the namespace that K8S_INGRESS_NS names', () => {
  const gateway = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'Gateway',
    metadata: { name: 'a-istio-autogenerated-k8s-ingress-shop', namespace: 'edge' },
    spec: {
      selector: { istio: 'ingressgateway' },
      servers: [{ port: { number: 80, protocol: 'HTTP' }, hosts: ['x'] }],
    },
  };
  const graph = world([gateway, ingressOf('a')], {}, { K8S_INGRESS_NS: 'edge' });
  const client = (istio: string) => ({ namespace: 'edge', labels: { istio }, targets: [] });
  const servers = (istio: string) => graph.read(mergedGateways, client(istio)).flatMap((port) => port.servers);
  expect(servers('ingressgateway').map(({ gateway: name, hosts }) => [name, hosts])).toEqual([
    ['edge/a-istio-autogenerated-k8s-ingress-shop', ['x']],
    ['edge/a-istio-autogenerated-k8s-ingress-shop', ['*']],
  ]);
  expect(servers('other')).toEqual([]);
});

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
    expect(world(objects).read(ingressPoints, 'all')).toEqual(pointsOf(expected));
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
    const graph = world(objects, { ingressService: '', ingressSelector: 'edge' });
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
