// Services, endpoints, targets and workloads as they follow from objects, and what a change touches.
import { describe, expect, it } from 'vitest';
import type { KindName, ObjectOf } from '../../config/kinds/kinds.ts';
import type { ServiceEntry } from '../../config/kinds/service-entry.ts';
import { Graph } from '../graph/graph.ts';
import { addressesToTell } from './auto-address.ts';
import { factsInput, meshInput, objects } from './objects.ts';
import { registryCollections } from './registry.ts';
import { serverNames, serviceEndpoints, serviceIdentities } from './service-endpoints.ts';
import { serviceTargetsOf } from './service-targets.ts';
import { services, servicesByHost } from './services.ts';
import { workloads, workloadsByAddress } from './workloads.ts';

function world(...items: readonly unknown[]): Graph {
  const graph = new Graph(registryCollections);
  graph.write(meshInput, 'mesh', { trustDomain: 'cluster.local' } as never);
  graph.write(factsInput, 'facts', {
    cluster: 'Kubernetes',
    domain: 'cluster.local',
    systemNamespace: 'istio-system',
    features: {},
  });
  for (const item of items) put(graph, item as ObjectOf<KindName>);
  return graph;
}

function put(graph: Graph, item: ObjectOf<KindName>): void {
  const { namespace = '', name } = item.metadata;
  graph.write(objects[item.kind] as never, `${namespace}/${name}`, item as never);
}

const service = (name: string, spec: object, metadata: object = {}): unknown => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default', ...metadata },
  spec,
});

const pod = (name: string, ip: string, labels: object, extra: object = {}): unknown => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', labels },
  spec: {
    serviceAccountName: 'web',
    nodeName: 'n1',
    containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 8080 }] }],
  },
  status: { phase: 'Running', podIP: ip, conditions: [{ type: 'Ready', status: 'True' }] },
  ...extra,
});

const slice = (name: string, of: string, endpoints: object[], ports: object[]): unknown => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': of } },
  addressType: 'IPv4',
  endpoints,
  ports,
});

const entry = (name: string, spec: object, metadata: object = {}): unknown => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'ServiceEntry',
  metadata: { name, namespace: 'default', ...metadata },
  spec,
});

const web = service('web', {
  clusterIP: '10.0.0.1',
  selector: { app: 'web' },
  ports: [{ name: 'http', port: 80, targetPort: 'http' }],
});
const webKey = { service: 'default/web.default.svc.cluster.local', port: 80 };

describe('services', () => {
  it('are keyed by namespace and host', () => {
    const { read } = world(web);
    expect(read(services, webKey.service)).toMatchObject({
      hostname: 'web.default.svc.cluster.local',
      resolution: 'endpoints',
      addresses: ['10.0.0.1'],
      exportTo: 'everyone',
      ports: [{ number: 80, name: 'http', protocol: 'http', targetPort: 'http' }],
    });
    expect(read(servicesByHost, 'web.default.svc.cluster.local')).toEqual([webKey.service]);
  });

  it('know headless and external ones apart', () => {
    const { read } = world(
      service('db', { clusterIP: 'None', ports: [{ name: 'tcp', port: 5432 }] }),
      service('ext', { type: 'ExternalName', externalName: 'Foo.Example.com', ports: [{ name: 'http', port: 80 }] }),
    );
    expect(read(services, 'default/db.default.svc.cluster.local')).toMatchObject({
      headless: true,
      resolution: 'passthrough',
      addresses: [],
    });
    expect(read(services, 'default/ext.default.svc.cluster.local')).toMatchObject({
      resolution: 'alias',
      externalName: 'foo.example.com',
    });
  });

  it('join ServiceEntries of one host and namespace, and tell those of two namespaces apart', () => {
    const hosts = ['a.example.com'];
    const { read } = world(
      entry('one', { hosts, resolution: 'STATIC', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] }),
      entry('two', { hosts, resolution: 'STATIC', ports: [{ number: 81, name: 'tcp', protocol: 'TCP' }] }),
      entry('other', { hosts, ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] }, { namespace: 'elsewhere' }),
    );
    expect(read(servicesByHost, 'a.example.com')).toEqual(['default/a.example.com', 'elsewhere/a.example.com']);
    const joined = read(services, 'default/a.example.com');
    expect(joined?.ports.map((port) => port.number)).toEqual([80, 81]);
    expect(joined?.sources.map((source) => source.name)).toEqual(['one', 'two']);
  });

  it('of Kubernetes get the SANs of ServiceEntries of their host and namespace, and nothing else', () => {
    const hosts = ['Web.default.svc.cluster.local'];
    const ports = [{ number: 81, name: 'tcp', protocol: 'TCP' }];
    const spec = { hosts, ports, resolution: 'STATIC', endpoints: [{ address: '1.1.1.1' }] };
    const graph = world(
      web,
      entry('one', { ...spec, subjectAltNames: ['spiffe://other/ns/a/sa/b'] }),
      entry('two', { ...spec, subjectAltNames: ['web.example.com', 'spiffe://other/ns/a/sa/b'] }),
      entry('far', { ...spec, subjectAltNames: ['far'] }, { namespace: 'elsewhere' }),
      pod('web-1', '10.1.0.1', { app: 'web' }),
    );
    const { read } = graph;
    const plain = world(web).read(services, webKey.service);
    const subjectAltNames = ['spiffe://other/ns/a/sa/b', 'web.example.com'];
    expect(read(services, webKey.service)).toEqual({ ...plain, subjectAltNames });
    const own = 'spiffe://cluster.local/ns/default/sa/web';
    expect(read(serverNames, webKey.service)).toEqual([own, ...subjectAltNames]);
    expect(read(serviceEndpoints, webKey).map(({ address }) => address)).toEqual(['10.1.0.1']);
    expect(read(serviceEndpoints, { ...webKey, port: 81 })).toEqual([]);
    expect(read(serviceTargetsOf, { namespace: 'default', addresses: ['1.1.1.1'] })).toEqual([]);
    put(graph, entry('one', { ...spec, hosts: ['other'] }) as never);
    put(graph, entry('two', spec) as never);
    expect(read(serverNames, webKey.service)).toEqual([own]);
  });

  it('get stable addresses of their own where they have none', () => {
    const named = (n: number): unknown =>
      entry(`e${n}`, { hosts: [`h${n}.example.com`], resolution: 'DNS', ports: [{ number: 80, name: 'http' }] });
    const many = Array.from({ length: 400 }, (_, n) => named(n));
    const { read } = world(...many);
    const all = many.map((_, n) => read(services, `default/h${n}.example.com`)?.autoAddresses[0]);
    expect(new Set(all).size).toBe(400);
    expect(all.every((address) => address?.startsWith('240.240.'))).toBe(true);
    const { read: alone } = world(...many.slice(0, 200).reverse());
    const same = all.slice(0, 200).filter((address, n) => {
      return alone(services, `default/h${n}.example.com`)?.autoAddresses[0] === address;
    });
    expect(same.length).toBeGreaterThan(195);
  });

  it('take addresses from the status where it has them', () => {
    const spec = { hosts: ['x.example.com'], resolution: 'DNS', ports: [{ number: 80, name: 'http' }] };
    const { read } = world({
      ...(entry('x', spec) as object),
      status: { addresses: [{ value: '240.240.9.9', host: 'x.example.com' }] },
    });
    expect(read(services, 'default/x.example.com')?.autoAddresses).toEqual(['240.240.9.9']);
  });
});

describe('addresses for a status', () => {
  const spec = { hosts: ['x.example.com'], resolution: 'DNS', ports: [{ number: 80, name: 'http' }] };
  const withStatus = (raw: unknown, addresses: unknown): unknown => ({ ...(raw as object), status: { addresses } });

  it('are those of all hosts, until the status has them', () => {
    const hosts = ['x.example.com', '*.wild.example.com', 'Y.example.com'];
    const told = (raw: unknown) => addressesToTell(world(raw).read, raw as ServiceEntry);
    const all = told(entry('x', { ...spec, hosts }));
    expect(all?.map(({ host }) => host)).toEqual([
      ...['x.example.com', 'x.example.com'],
      ...['y.example.com', 'y.example.com'],
    ]);
    expect(told(withStatus(entry('x', { ...spec, hosts }), all))).toBeUndefined();
    const first = [{ value: '240.240.9.9', host: 'x.example.com' }];
    expect(told(withStatus(entry('x', { ...spec, hosts }), first))).toEqual([...first, ...(all ?? []).slice(2)]);
  });

  it.each<[string, object, object?]>([
    ['wildcards', { hosts: ['*.example.com'] }],
    ['addresses of its own', { addresses: ['10.1.1.1'] }],
    ['resolution by the caller', { resolution: 'NONE' }],
    ['the label', {}, { labels: { 'networking.istio.io/enable-autoallocate-ip': 'False' } }],
  ])('are none for an entry with %s', (_, change, meta) => {
    const raw = entry('x', { ...spec, ...change }, meta);
    expect(addressesToTell(world(raw).read, raw as ServiceEntry)).toBeUndefined();
  });

  it('are not what the status of another has', () => {
    const own = world(entry('x', spec)).read(services, 'default/x.example.com')?.autoAddresses ?? [];
    const other = withStatus(entry('y', { ...spec, hosts: ['y.example.com'] }), [{ value: own[0] }]);
    const { read } = world(entry('x', spec), other);
    expect(read(services, 'default/y.example.com')?.autoAddresses).toEqual([own[0]]);
    const moved = read(services, 'default/x.example.com')?.autoAddresses ?? [];
    expect(moved[0]).toMatch(/^240\.240\./);
    expect(moved[0]).not.toBe(own[0]);
  });

  it('make no difference to the mesh once they are written', () => {
    const raw = entry('x', spec);
    const graph = world(raw);
    const before = graph.read(services, 'default/x.example.com');
    const told = withStatus(raw, addressesToTell(graph.read, raw as ServiceEntry)) as ServiceEntry;
    expect(graph.write(objects.ServiceEntry, 'default/x', told)).toBe(true);
    expect(graph.read(services, 'default/x.example.com')).toBe(before);
  });

  it('apart, what a status says to people is no change at all', () => {
    const raw = entry('x', spec);
    const told = { ...(raw as ServiceEntry), status: { conditions: [{ type: 'Accepted', status: 'False' }] } };
    expect(world(raw).write(objects.ServiceEntry, 'default/x', told)).toBe(false);
  });
});

describe('endpoints', () => {
  const labels = { app: 'web', 'security.istio.io/tlsMode': 'istio' };
  const node = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: 'n1',
      namespace: '',
      labels: { 'topology.kubernetes.io/region': 'r', 'topology.kubernetes.io/zone': 'z' },
    },
  };

  it('come from slices, with identity, locality and mTLS of their pods', () => {
    const { read } = world(
      web,
      node,
      pod('web-1', '10.1.0.1', labels),
      slice('s', 'web', [{ addresses: ['10.1.0.1'] }], [{ name: 'http', port: 8080 }]),
    );
    expect(read(serviceEndpoints, webKey)).toMatchObject([
      {
        address: '10.1.0.1',
        port: 8080,
        identity: 'spiffe://cluster.local/ns/default/sa/web',
        locality: { region: 'r', zone: 'z', subzone: '' },
        tlsMode: 'istio',
        health: 'healthy',
      },
    ]);
    expect(read(serviceIdentities, webKey)).toEqual(['spiffe://cluster.local/ns/default/sa/web']);
  });

  it.each([
    [{ ready: true }, ['healthy']],
    [{ ready: false }, ['unhealthy']],
    [{ ready: false, serving: true, terminating: true }, []],
    [undefined, ['healthy']],
  ])('are healthy by the conditions %j', (conditions, expected) => {
    const { read } = world(
      web,
      slice('s', 'web', [{ addresses: ['10.1.0.9'], conditions }], [{ name: 'http', port: 8080 }]),
    );
    expect(read(serviceEndpoints, webKey).map((endpoint) => endpoint.health)).toEqual(expected);
  });

  it('drain for sticky clients as long as they serve', () => {
    const sticky = (label: string, conditions: object) => {
      const service = structuredClone(web) as { metadata: Record<string, unknown> };
      service.metadata['labels'] = { [label]: 'x' };
      const ports = [{ name: 'http', port: 8080 }];
      const { read } = world(service, slice('s', 'web', [{ addresses: ['10.1.0.9'], conditions }], ports));
      return read(serviceEndpoints, webKey).map(({ health }) => health);
    };
    const draining = { ready: false, serving: true, terminating: true };
    expect(sticky('istio.io/persistent-session', draining)).toEqual(['draining']);
    expect(sticky('istio.io/persistent-session-header', draining)).toEqual(['draining']);
    expect(sticky('istio.io/persistent-session', { ...draining, serving: false })).toEqual([]);
  });

  it('are the good addresses of a slice', () => {
    const addresses = ['not-an-ip', '10.0.0.300', '2001:db8::1', '10.1.0.9'].map((address) => ({
      addresses: [address],
    }));
    const { read } = world(web, slice('s', 'web', addresses, [{ name: 'http', port: 8080 }]));
    expect(read(serviceEndpoints, webKey).map(({ address }) => address)).toEqual(['10.1.0.9']);
  });

  it('are not pods that are being deleted', () => {
    const leaving = structuredClone(pod('web-1', '10.1.0.1', labels)) as { metadata: Record<string, unknown> };
    leaving.metadata['deletionTimestamp'] = '2026-01-01T00:00:00Z';
    const { read } = world(web, leaving, pod('web-2', '10.1.0.2', labels));
    expect(read(serviceEndpoints, webKey).map(({ address }) => address)).toEqual(['10.1.0.2']);
  });

  it('wait for the pod that a slice names', () => {
    const graph = world(
      web,
      slice(
        's',
        'web',
        [{ addresses: ['10.1.0.1'], targetRef: { kind: 'Pod', name: 'web-1' } }],
        [{ name: 'http', port: 8080 }],
      ),
    );
    expect(graph.read(serviceEndpoints, webKey)).toEqual([]);
    put(graph, pod('web-1', '10.1.0.1', labels) as never);
    expect(graph.read(serviceEndpoints, webKey)).toHaveLength(1);
  });

  it('come from the pods themselves where nobody writes slices', () => {
    const { read } = world(web, pod('web-1', '10.1.0.1', labels), pod('db-1', '10.1.0.2', { app: 'db' }));
    expect(read(serviceEndpoints, webKey).map(({ address, port }) => [address, port])).toEqual([['10.1.0.1', 8080]]);
  });

  it('of ServiceEntries are listed, selected or the host itself', () => {
    const ports = [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 8000 }];
    const { read } = world(
      entry('listed', {
        hosts: ['l.example.com'],
        resolution: 'STATIC',
        ports,
        endpoints: [
          { address: '1.1.1.1', ports: { http: 9000 }, locality: 'r/z/s', weight: 3 },
          { address: 'unix:///tmp/x' },
        ],
      }),
      entry('named', { hosts: ['d.example.com'], resolution: 'DNS', ports }),
      entry('selecting', {
        hosts: ['s.example.com'],
        resolution: 'STATIC',
        location: 'MESH_INTERNAL',
        ports,
        workloadSelector: { labels: { app: 'vm' } },
      }),
      {
        apiVersion: 'networking.istio.io/v1',
        kind: 'WorkloadEntry',
        metadata: { name: 'vm', namespace: 'default' },
        spec: { address: '2.2.2.2', labels: { app: 'vm' }, serviceAccount: 'vm' },
      },
    );
    const of = (host: string): unknown =>
      read(serviceEndpoints, { service: `default/${host}`, port: 80 }).map(({ address, port }) => [address, port]);
    expect(of('l.example.com')).toEqual([
      ['1.1.1.1', 9000],
      ['unix:///tmp/x', 0],
    ]);
    expect(of('d.example.com')).toEqual([['d.example.com', 8000]]);
    expect(of('s.example.com')).toEqual([['2.2.2.2', 8000]]);
    expect(read(serviceIdentities, { service: 'default/s.example.com', port: 80 })).toHaveLength(1);
  });

  it('of joined ServiceEntries serve the ports of their own entry, by its name and target', () => {
    const hosts = ['a.example.com'];
    const { read } = world(
      entry('one', {
        hosts,
        resolution: 'STATIC',
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        endpoints: [{ address: '1.1.1.1' }],
      }),
      entry('two', {
        hosts,
        resolution: 'STATIC',
        ports: [
          { number: 80, name: 'web', protocol: 'HTTP', targetPort: 8080 },
          { number: 81, name: 'tcp', protocol: 'TCP' },
        ],
        endpoints: [{ address: '2.2.2.2', ports: { tcp: 8081 } }],
      }),
      entry('three', {
        hosts,
        resolution: 'STATIC',
        ports: [{ number: 82, name: 'http', protocol: 'HTTP' }],
        workloadSelector: { labels: { app: 'web' } },
      }),
      pod('web-1', '10.1.0.1', { app: 'web' }),
    );
    const at = (port: number) =>
      read(serviceEndpoints, { service: 'default/a.example.com', port }).map(
        ({ address, port: own, portName }) => `${address}:${own} ${portName}`,
      );
    expect([80, 81, 82, 83].map(at)).toEqual([
      ['1.1.1.1:80 http', '2.2.2.2:8080 web'],
      ['2.2.2.2:8081 tcp'],
      ['10.1.0.1:8080 http'],
      [],
    ]);
    const joined = read(services, 'default/a.example.com');
    expect(joined?.ports.map(({ number, name }) => `${number} ${name}`)).toEqual(['80 http', '82 http', '81 tcp']);
  });

  it('are not computed again for what has no meaning to them', () => {
    const graph = world(web, node, pod('web-1', '10.1.0.1', labels));
    graph.read(serviceEndpoints, webKey);
    const before = graph.stats().computed.get('service-endpoints');
    put(graph, { ...node, status: { addresses: [{ type: 'InternalIP', address: '9.9.9.9' }] } } as never);
    put(graph, pod('other', '10.1.0.7', { app: 'other' }) as never);
    graph.read(serviceEndpoints, webKey);
    expect(graph.stats().computed.get('service-endpoints')).toBe(before);
  });
});

describe('targets', () => {
  it('are the ports of selecting services, by number or name', () => {
    const { read } = world(
      web,
      service('all', { selector: { app: 'web' }, ports: [{ name: 'tcp', port: 90, targetPort: 9090 }] }),
      pod('web-1', '10.1.0.1', { app: 'web' }),
    );
    const [workload] = read(workloadsByAddress, '10.1.0.1');
    expect(read(workloads, workload ?? '')?.namespace).toBe('default');
    const key = { namespace: 'default', addresses: ['10.1.0.1'], ...(workload === undefined ? {} : { workload }) };
    expect(read(serviceTargetsOf, key)).toEqual([
      { service: 'default/all.default.svc.cluster.local', port: 90, targetPort: 9090 },
      { service: 'default/web.default.svc.cluster.local', port: 80, targetPort: 8080 },
    ]);
  });

  it('come from what a proxy says while the registry lacks its pod', () => {
    const { read } = world(web);
    expect(
      read(serviceTargetsOf, {
        namespace: 'default',
        addresses: ['10.1.0.1'],
        labels: { app: 'web' },
        ports: { http: 7000 },
      }),
    ).toEqual([{ service: 'default/web.default.svc.cluster.local', port: 80, targetPort: 7000 }]);
  });

  it('come from each of joined ServiceEntries for its own ports', () => {
    const spec = { hosts: ['a.example.com'], resolution: 'STATIC', location: 'MESH_INTERNAL' };
    const selecting = (name: string, port: number, labels: object): unknown =>
      entry(name, { ...spec, ports: [{ number: port, name: `tcp-${port}` }], workloadSelector: { labels } });
    const graph = world(
      selecting('one', 80, { app: 'web' }),
      selecting('two', 81, { tier: 'b' }),
      entry('three', { ...spec, ports: [{ number: 82, name: 'tcp' }], endpoints: [{ address: '10.1.0.3' }] }),
      pod('web-1', '10.1.0.1', { app: 'web' }),
      pod('web-2', '10.1.0.2', { app: 'web', tier: 'b' }),
      pod('web-3', '10.1.0.3', { tier: 'b' }),
    );
    const of = (n: number) =>
      graph
        .read(serviceTargetsOf, { namespace: 'default', addresses: [`10.1.0.${n}`], workload: `Pod|default/web-${n}` })
        .map(({ port }) => port);
    expect([1, 2, 3].map(of)).toEqual([[80], [80, 81], [81, 82]]);
    put(graph, selecting('two', 81, { tier: 'c' }) as never);
    expect([1, 2, 3].map(of)).toEqual([[80], [80], [82]]);
  });

  it('come from inline endpoints of ServiceEntries', () => {
    const { read } = world(
      entry('vm', {
        hosts: ['vm.example.com'],
        resolution: 'STATIC',
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        endpoints: [{ address: '3.3.3.3', ports: { http: 8080 } }],
      }),
    );
    expect(read(serviceTargetsOf, { namespace: 'default', addresses: ['3.3.3.3'] })).toEqual([
      { service: 'default/vm.example.com', port: 80, targetPort: 8080 },
    ]);
  });
});
