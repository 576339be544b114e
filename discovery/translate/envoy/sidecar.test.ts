// Listeners and routes of sidecars as a whole: what they are named, who shares them, and what a change touches.
import { describe, expect, it } from 'vitest';
import { defaultMeshConfig } from '../../../config/mesh.ts';
import { changeOf, connect, graphOf, jsonOf, testFacts } from '../../../test/support/world.ts';
import { findResource, listResources, type ResourceJson } from '../../dump.ts';
import type { Graph } from '../../graph/graph.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import type { ProxyClass } from '../../proxy/proxy-class.ts';
import { writeObjects } from '../../world.ts';

type Raw = Parameters<typeof graphOf>[0][number] & { readonly spec?: object; readonly status?: object };

const service = (name: string, namespace: string, ip: string, ports: object[], extra: object = {}): Raw => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace },
  spec: { clusterIP: ip, selector: { app: name }, ports, ...extra },
});

const pod = (name: string, namespace: string, ip: string): Raw => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels: { app: name } },
  spec: { containers: [{ name: 'c' }], serviceAccountName: name },
  status: { podIP: ip, podIPs: [{ ip }], phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
});

const mesh = (kind: string, name: string, namespace: string, spec: object): Raw => ({
  apiVersion: kind === 'PeerAuthentication' ? 'security.istio.io/v1' : 'networking.istio.io/v1',
  kind,
  metadata: { name, namespace },
  spec,
});

const ports = {
  http: { name: 'http', port: 80, targetPort: 8080 },
  tcp: { name: 'tcp', port: 5432 },
  auto: { name: 'odd', port: 7000 },
  https: { name: 'https', port: 443 },
};

function proxy(over: Partial<Proxy> = {}): Proxy {
  const { namespace = 'shop', workload = { name: 'web', namespace } } = over;
  return {
    nodeId: `sidecar~10.0.0.1~${workload.name}.${namespace}~${namespace}.svc.cluster.local`,
    flavour: 'sidecar',
    ipAddresses: ['10.0.0.1'],
    workload,
    namespace,
    dnsDomain: `${namespace}.svc.cluster.local`,
    labels: { app: workload.name },
    serviceAccount: workload.name,
    cluster: 'Kubernetes',
    network: '',
    nodeName: '',
    locality: { region: '', zone: '', subzone: '' },
    interception: 'REDIRECT',
    capabilities: { istioFilters: true, agentSds: true, internalListeners: true },
    settings: {},
    ...over,
  };
}

const untraced = { ...defaultMeshConfig, enableTracing: false };
const world = (items: readonly Raw[], config = untraced, features = {}): Graph =>
  graphOf(items, config, { ...testFacts, features });

const listeners = (graph: Graph, client: ProxyClass): ReadonlyMap<string, ResourceJson> =>
  new Map(listResources(graph, client, 'listener').map((one) => [one.name, jsonOf(one)]));

function route(graph: Graph, client: ProxyClass, name: string) {
  const found = findResource(graph, client, 'route', name);
  if (found === undefined) throw new Error(`no route ${name}`);
  const json = jsonOf(found) as { virtualHosts?: { name: string; domains: string[] }[] };
  return json.virtualHosts ?? [];
}

const web = [service('web', 'shop', '10.1.0.1', [ports.http, ports.tcp, ports.auto]), pod('web', 'shop', '10.0.0.1')];

describe('listeners', () => {
  it('are named by address and port: one for all HTTP services of a port, one for each address otherwise', () => {
    const graph = world([...web, service('api', 'back', '10.1.0.2', [ports.http, ports.https])]);
    expect([...listeners(graph, connect(graph, proxy())).keys()].sort()).toEqual([
      '0.0.0.0_80',
      '10.1.0.1_5432',
      '10.1.0.1_7000',
      '10.1.0.2_443',
      'virtualInbound',
      'virtualOutbound',
    ]);
  });

  it("give a plain Envoy none of istio-proxy's filters, nor their ALPN", () => {
    const graph = world([...web, mesh('PeerAuthentication', 'p', 'shop', { mtls: { mode: 'STRICT' } })]);
    const capabilities = { istioFilters: false, agentSds: false, internalListeners: false };
    const text = JSON.stringify([...listeners(graph, connect(graph, proxy({ capabilities })))]);
    expect(text).not.toMatch(/"name":"istio\./u);
    expect(text).not.toContain('"alpnProtocols":["istio-peer-exchange"');
    expect(text).not.toContain('sds-grpc');
    const own = JSON.stringify([...listeners(graph, connect(graph, proxy()))]);
    expect(own).toContain('"name":"istio.alpn"');
    expect(own).toContain('"alpnProtocols":["istio-peer-exchange"');
  });

  it("take mTLS, both or plain text on inbound ports, by the workload's policy", () => {
    const chains = (mode: string) => {
      const graph = world([...web, mesh('PeerAuthentication', 'p', 'shop', { mtls: { mode } })]);
      const inbound = listeners(graph, connect(graph, proxy())).get('virtualInbound') as {
        filterChains: { name: string; filterChainMatch: { transportProtocol?: string }; transportSocket?: object }[];
      };
      return inbound.filterChains
        .filter(({ name }) => name === '0.0.0.0_8080')
        .map(({ filterChainMatch, transportSocket }) => [
          filterChainMatch.transportProtocol,
          transportSocket !== undefined,
        ]);
    };
    expect(chains('STRICT')).toEqual([['tls', true]]);
    expect(chains('PERMISSIVE')).toEqual([
      ['tls', true],
      ['raw_buffer', false],
    ]);
    expect(chains('DISABLE')).toEqual([['raw_buffer', false]]);
  });

  it('are real sockets without capture, and none on privileged ports for those who may not', () => {
    const low = service('web', 'shop', '10.1.0.1', [{ name: 'http', port: 80 }, ports.tcp]);
    const graph = world([low, pod('web', 'shop', '10.0.0.1')]);
    const client = connect(graph, proxy({ interception: 'NONE', settings: { unprivileged: true } }));
    const names = [...listeners(graph, client).keys()].sort();
    expect(names).toEqual(['127.0.0.1_5432']);
  });

  it('refuse what is unknown where the mesh says so', () => {
    const graph = world(web, { ...untraced, outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } });
    const client = connect(graph, proxy());
    expect(JSON.stringify(listeners(graph, client).get('virtualOutbound'))).not.toContain('PassthroughCluster');
    expect(route(graph, client, '80').at(-1)?.name).toBe('block_all');
  });

  it('of services that want the same address and port are merged, the older one first', () => {
    const entry = (name: string, addresses: string[]) =>
      mesh('ServiceEntry', name, 'shop', {
        hosts: [`${name}.com`],
        addresses,
        ports: [{ number: 9000, name: 'tcp', protocol: 'TCP' }],
        resolution: 'NONE',
      });
    const graph = world([entry('a', ['10.9.0.0/24']), entry('b', ['10.9.0.7/24']), entry('c', ['10.8.0.0/24'])]);
    const found = listeners(graph, connect(graph, proxy())).get('0.0.0.0_9000') as { filterChains: unknown[] };
    const text = JSON.stringify(found);
    expect(found.filterChains).toHaveLength(2);
    expect(text).toContain('a.com');
    expect(text).toContain('c.com');
    expect(text).not.toContain('b.com');
  });
});

describe('routes', () => {
  it('answer to the names that a client may use, each once', () => {
    const graph = world([...web, service('api', 'back', '10.1.0.1', [ports.http])]);
    const hosts = route(graph, connect(graph, proxy()), '80');
    expect(hosts.map(({ name }) => name)).toEqual([
      'api.back.svc.cluster.local:80',
      'web.shop.svc.cluster.local:80',
      'allow_any',
    ]);
    const domains = hosts.flatMap((host) => host.domains);
    expect(domains).toEqual([...new Set(domains)]);
    expect(hosts[1]?.domains).toEqual([
      'web.shop.svc.cluster.local',
      'web.shop.svc.cluster.local.',
      'web',
      'web.shop.svc',
      'web.shop',
    ]);
  });

  it('answer a name that stands for nothing with an empty configuration', () => {
    const graph = world(web);
    const client = connect(graph, proxy());
    expect(route(graph, client, 'nonsense')).toEqual([]);
    expect(route(graph, client, 'gone.shop.svc.cluster.local:7000')).toEqual([]);
  });

  it('of sniffed ports are for one service, whatever Host says', () => {
    const graph = world(web);
    expect(route(graph, connect(graph, proxy()), 'web.shop.svc.cluster.local:7000')).toMatchObject([
      { name: 'web.shop.svc.cluster.local:7000', domains: ['*'] },
    ]);
  });

  it('differ by the labels of clients only where a rule asks for them', () => {
    const asking = mesh('VirtualService', 'v', 'shop', {
      hosts: ['web'],
      http: [
        { match: [{ sourceLabels: { app: 'web' } }], route: [{ destination: { host: 'web', subset: 'v2' } }] },
        { route: [{ destination: { host: 'web' } }] },
      ],
    });
    const graph = world([...web, asking, pod('other', 'shop', '10.0.0.2')]);
    const count = (name: string, ip: string) => {
      const client = connect(graph, proxy({ workload: { name, namespace: 'shop' }, ipAddresses: [ip] }));
      return JSON.stringify(route(graph, client, '80')).split('outbound|80|v2|').length - 1;
    };
    expect(count('web', '10.0.0.1')).toBe(1);
    expect(count('other', '10.0.0.2')).toBe(0);
  });
});

describe('clients who are told apart', () => {
  const api = service('api', 'back', '10.1.0.2', [ports.http, ports.tcp]);
  const routed = (timeout: string) => ({
    hosts: ['api.back.svc.cluster.local'],
    exportTo: ['.'],
    http: [{ route: [{ destination: { host: 'api.back.svc.cluster.local' } }], timeout }],
  });

  it.each([
    ['a private VirtualService', mesh('VirtualService', 'v', 'shop', routed('7s')), '"timeout":"7s"'],
    [
      'a DestinationRule of their own',
      mesh('DestinationRule', 'd', 'shop', {
        host: 'api.back.svc.cluster.local',
        trafficPolicy: { loadBalancer: { consistentHash: { httpHeaderName: 'x-own' } } },
      }),
      '"headerName":"x-own"',
    ],
    [
      'a service exported to them alone',
      mesh('ServiceEntry', 'e', 'back', {
        hosts: ['only.example.com'],
        exportTo: ['shop'],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        resolution: 'DNS',
      }),
      'only.example.com',
    ],
  ])('by %s, as soon as it appears', (_what, item, sign) => {
    const graph = world([api]);
    const [shop, other] = ['shop', 'other'].map((namespace) =>
      connect(graph, proxy({ namespace, workload: { name: 'w', namespace } })),
    ) as [ProxyClass, ProxyClass];
    const shows = (client: ProxyClass) => JSON.stringify(route(graph, client, '80')).includes(sign);
    expect([shows(shop), shows(other)]).toEqual([false, false]);
    const change = changeOf(item);
    writeObjects(graph, change === undefined ? [] : [change]);
    expect([shows(shop), shows(other)]).toEqual([true, false]);
  });
});

describe('work', () => {
  const many = Array.from({ length: 40 }, (_, i) =>
    service(`s${i}`, `n${i % 4}`, `10.2.0.${i + 1}`, [ports.http, ports.tcp]),
  );
  const computed = (graph: Graph): Map<string, number> => new Map(graph.stats().computed);

  function touch(graph: Graph, clients: readonly ProxyClass[]): void {
    for (const client of clients) {
      listResources(graph, client, 'listener');
      findResource(graph, client, 'route', '80');
    }
  }

  function workOf(graph: Graph, clients: readonly ProxyClass[], change: Raw): Readonly<Record<string, number>> {
    touch(graph, clients);
    const before = computed(graph);
    const found = changeOf(change);
    writeObjects(graph, found === undefined ? [] : [found]);
    touch(graph, clients);
    const after = [...computed(graph)].map(([node, count]) => [node, count - (before.get(node) ?? 0)] as const);
    return Object.fromEntries(after.filter(([, count]) => count > 0));
  }

  const clientsOf = (graph: Graph): readonly ProxyClass[] =>
    [0, 1, 2, 3].map((i) => connect(graph, proxy({ namespace: `n${i}`, workload: { name: 'w', namespace: `n${i}` } })));

  it('is shared by clients of all namespaces that see the same', () => {
    const graph = world(many);
    touch(graph, clientsOf(graph));
    const work = computed(graph);
    // 40 TCP services and one listener for HTTP.
    expect(work.get('outbound-listener')).toBe(41);
    expect(work.get('outbound-plans')).toBe(1);
    // Each service as its own namespace calls it and as all others do.
    expect(work.get('virtual-host')).toBe(80);
  });

  it('is none for a label, and one listener for a port', () => {
    const graph = world(many);
    const clients = clientsOf(graph);
    const labelled = {
      ...many[3],
      metadata: { name: 's3', namespace: 'n3', labels: { a: 'b' }, resourceVersion: '9' },
    };
    const none = workOf(graph, clients, labelled as Raw);
    for (const output of ['outbound-listener', 'virtual-host', 'sidecar-route', 'sidecar-listeners.directory']) {
      expect(none[output]).toBeUndefined();
    }
    const more = service('s3', 'n3', '10.2.0.4', [ports.http, ports.tcp, { name: 'tcp-more', port: 9999 }]);
    const one = workOf(graph, clients, more);
    expect(one['outbound-listener']).toBe(1);
    expect(one['virtual-host']).toBeUndefined();
    expect(one['sidecar-route']).toBeUndefined();
  });

  it('is one virtual host, in its two forms, for a VirtualService', () => {
    const rules = (timeout: string) =>
      mesh('VirtualService', 'v', 'n1', {
        hosts: ['s1'],
        http: [{ route: [{ destination: { host: 's1' } }], timeout }],
      });
    const graph = world([...many, rules('1s')]);
    const work = workOf(graph, clientsOf(graph), rules('2s'));
    expect(work['virtual-host']).toBe(2);
    expect(work['outbound-listener']).toBeUndefined();
  });
});
