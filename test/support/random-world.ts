// Random small worlds of mesh objects for properties: few names, so that edits meet each other.
import { type MeshConfig, parseMeshConfig } from '../../config/mesh.ts';
import type { Proxy } from '../../discovery/proxy/proxy.ts';
import { randomOf } from './random.ts';
import type { changeOf } from './world.ts';

/** An object as a manifest has it. */
export type RawObject = Parameters<typeof changeOf>[0] & { readonly [field: string]: unknown };

/** Chance, for one edit. */
interface Dice {
  /** One of them. */
  readonly pick: <T>(items: readonly T[]) => T;
  /** True with this probability. */
  readonly chance: (p: number) => boolean;
  /** A whole number below `n`. */
  readonly below: (n: number) => number;
}

/** A place in the world that edits fill with one variant or another. */
export interface Slot {
  readonly kind: string;
  readonly apiVersion: string;
  readonly namespace: string;
  readonly name: string;
  readonly make: (dice: Dice) => Readonly<Record<string, unknown>>;
}

const namespaces = ['red', 'blue', 'istio-system'] as const;
const services = ['a', 'b', 'c', 'd'] as const;
const versions = ['v1', 'v2'] as const;
const creationTimes = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'] as const;

/** The object of a slot by the dice of a seed; undefined where the edit removes it. */
export function variantOf(slot: Slot, seed: number): RawObject | undefined {
  const random = randomOf(seed);
  const dice: Dice = {
    pick: (items) => items[Math.floor(random() * items.length)] as (typeof items)[number],
    chance: (p) => random() < p,
    below: (n) => Math.floor(random() * n),
  };
  if (seed % 5 === 0) return undefined;
  const { metadata, ...body } = slot.make(dice);
  const base = { name: slot.name, namespace: slot.namespace, creationTimestamp: dice.pick(creationTimes) };
  return { apiVersion: slot.apiVersion, kind: slot.kind, metadata: { ...base, ...(metadata as object) }, ...body };
}

const servicePorts = [
  { name: 'http', port: 80, targetPort: 8080 },
  { name: 'http-web', port: 80, targetPort: 'web' },
  { name: 'tcp', port: 9000 },
  { name: 'other', port: 7000 },
  { name: 'grpc', port: 7070 },
  { name: 'tls', port: 443 },
  { name: 'http-alt', port: 9000, appProtocol: 'http' },
] as const;

const exportTo = [['*'], ['.'], ['~'], ['blue'], ['red', '.']] as const;

function uniquePorts<T extends { readonly port?: number; readonly number?: number; readonly name: string }>(
  dice: Dice,
  all: readonly T[],
): readonly T[] {
  const found: T[] = [];
  for (let n = 1 + dice.below(3); n > 0; n--) {
    const next = dice.pick(all);
    if (!found.some((port) => (port.port ?? port.number) === (next.port ?? next.number) || port.name === next.name))
      found.push(next);
  }
  return found;
}

function serviceAnnotations(dice: Dice): Readonly<Record<string, unknown>> {
  const annotations = dice.chance(0.2) ? { 'networking.istio.io/exportTo': dice.pick(exportTo).join(',') } : {};
  return { annotations, labels: dice.chance(0.3) ? { note: dice.pick(['x', 'y']) } : {} };
}

function service(namespace: string, name: string, i: number): Slot {
  return {
    ...{ kind: 'Service', apiVersion: 'v1', namespace, name },
    make: (dice) => ({
      metadata: serviceAnnotations(dice),
      spec: dice.chance(0.08)
        ? { type: 'ExternalName', externalName: dice.pick(['outside.example', 'b.blue.svc.cluster.local']) }
        : {
            clusterIP: dice.chance(0.2) ? 'None' : `10.96.0.${i + 1}`,
            selector: dice.chance(0.9) ? { app: dice.chance(0.9) ? name : 'a' } : {},
            ports: uniquePorts(dice, servicePorts).map((port) => ({ protocol: 'TCP', ...port })),
            ...(dice.chance(0.1) ? { trafficDistribution: 'PreferClose' } : {}),
            ...(dice.chance(0.1) ? { internalTrafficPolicy: 'Local' } : {}),
          },
    }),
  };
}

/** The address of a pod by the place of its namespace and service among all. */
function podAddress(i: number, n: number): string {
  return `10.1.${i}.${n}`;
}

function slice(namespace: string, name: string, i: number): Slot {
  return {
    ...{ kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1', namespace, name: `${name}-1` },
    make: (dice) => ({
      metadata: { labels: { 'kubernetes.io/service-name': dice.chance(0.95) ? name : 'a' } },
      addressType: 'IPv4',
      ports: [
        { name: 'http', port: 8080, protocol: 'TCP' },
        ...(dice.chance(0.7) ? [{ name: 'tcp', port: 9000, protocol: 'TCP' }] : []),
        ...(dice.chance(0.5) ? [{ name: 'other', port: 7000, protocol: 'TCP' }] : []),
      ],
      endpoints: [1, 2]
        .filter(() => dice.chance(0.8))
        .map((n) => ({
          addresses: [podAddress(i, n)],
          conditions: { ready: dice.chance(0.8), ...(dice.chance(0.1) ? { serving: true, terminating: true } : {}) },
          ...(dice.chance(0.8) ? { targetRef: { kind: 'Pod', namespace, name: `${name}-${n}` } } : {}),
          ...(dice.chance(0.5) ? { nodeName: dice.pick(['n1', 'n2']), zone: dice.pick(['z1', 'z2']) } : {}),
        })),
    }),
  };
}

function pod(namespace: string, service: string, i: number, n: number): Slot {
  const ip = podAddress(i, n);
  return {
    ...{ kind: 'Pod', apiVersion: 'v1', namespace, name: `${service}-${n}` },
    make: (dice) => ({
      metadata: {
        labels: {
          app: dice.chance(0.9) ? service : dice.pick(services),
          version: dice.pick(versions),
          ...(dice.chance(0.3) ? { 'security.istio.io/tlsMode': dice.pick(['istio', 'disabled']) } : {}),
        },
      },
      spec: {
        nodeName: dice.pick(['n1', 'n2']),
        serviceAccountName: dice.pick([service, 'default']),
        containers: [{ name: 'c', ports: [{ name: 'web', containerPort: dice.pick([8080, 8081]) }] }],
      },
      status: {
        phase: 'Running',
        podIP: ip,
        podIPs: [{ ip }],
        conditions: [{ type: 'Ready', status: dice.chance(0.9) ? 'True' : 'False' }],
      },
    }),
  };
}

const node = (name: string): Slot => ({
  ...{ kind: 'Node', apiVersion: 'v1', namespace: '', name },
  make: (dice) => ({
    metadata: {
      labels: { 'topology.kubernetes.io/region': 'r', 'topology.kubernetes.io/zone': dice.pick(['z1', 'z2']) },
    },
  }),
});

const namespaceSlot = (name: string): Slot => ({
  ...{ kind: 'Namespace', apiVersion: 'v1', namespace: '', name },
  make: (dice) => ({ metadata: { labels: { 'topology.istio.io/network': dice.pick(['', 'net1']) } } }),
});

/** Hosts that rules may name: short, full, wildcard, of entries, and one that never exists. */
const hosts = [
  'a',
  'b',
  'a.red.svc.cluster.local',
  'b.blue.svc.cluster.local',
  'c.blue.svc.cluster.local',
  'd.red',
  '*.blue.svc.cluster.local',
  'ext.example',
  '*.wild.example',
  'none.example',
] as const;

const concreteHosts = hosts.filter((host) => !host.startsWith('*'));

function destination(dice: Dice): Readonly<Record<string, unknown>> {
  return {
    host: dice.pick(concreteHosts),
    ...(dice.chance(0.5) ? { subset: dice.pick(versions) } : {}),
    ...(dice.chance(0.6) ? { port: { number: dice.pick([80, 9000, 7000]) } } : {}),
  };
}

const matches = [
  { uri: { prefix: '/x' } },
  { uri: { exact: '/y' }, method: { exact: 'GET' } },
  { headers: { end: { regex: 'v[0-9]+' } } },
  { port: 80 },
  { sourceLabels: { app: 'a' } },
  { sourceNamespace: 'red' },
  { gateways: ['mesh'], queryParams: { q: { exact: '1' } } },
] as const;

function httpRoute(dice: Dice): Readonly<Record<string, unknown>> {
  const match = dice.chance(0.6) ? { match: [dice.pick(matches)] } : {};
  if (dice.chance(0.08)) return { ...match, redirect: { uri: '/moved' } };
  if (dice.chance(0.05)) return { ...match, directResponse: { status: 418 } };
  const route = dice.chance(0.4)
    ? [
        { destination: destination(dice), weight: 30 },
        { destination: destination(dice), weight: 70 },
      ]
    : [{ destination: destination(dice) }];
  return {
    ...match,
    route,
    ...(dice.chance(0.2) ? { timeout: dice.pick(['1s', '5s']) } : {}),
    ...(dice.chance(0.2) ? { retries: { attempts: 2, retryOn: '5xx', perTryTimeout: '1s' } } : {}),
    ...(dice.chance(0.2) ? { mirror: destination(dice), mirrorPercentage: { value: 50 } } : {}),
    ...(dice.chance(0.1) ? { fault: { abort: { httpStatus: 503, percentage: { value: 10 } } } } : {}),
    ...(dice.chance(0.1) ? { rewrite: { uri: '/z' } } : {}),
    ...(dice.chance(0.1) ? { headers: { request: { set: { 'x-a': 'b' } } } } : {}),
  };
}

const istio = (kind: string, namespace: string, name: string, spec: (dice: Dice) => object): Slot => ({
  ...{ kind, namespace, name },
  apiVersion: kind.endsWith('Authentication') ? 'security.istio.io/v1' : 'networking.istio.io/v1',
  make: (dice) => ({ spec: spec(dice) }),
});

const virtualService = (namespace: string, name: string): Slot =>
  istio('VirtualService', namespace, name, (dice) => ({
    hosts: [dice.pick(hosts), ...(dice.chance(0.2) ? ['extra.example'] : [])],
    ...(dice.chance(0.3) ? { gateways: [dice.pick(['mesh', 'gw', 'istio-system/gw']), 'mesh'] } : {}),
    ...(dice.chance(0.3) ? { exportTo: dice.pick(exportTo) } : {}),
    ...(dice.chance(0.85) ? { http: Array.from({ length: 1 + dice.below(3) }, () => httpRoute(dice)) } : {}),
    ...(dice.chance(0.3)
      ? {
          tcp: [
            { ...(dice.chance(0.5) ? { match: [{ port: 9000 }] } : {}), route: [{ destination: destination(dice) }] },
          ],
        }
      : {}),
    ...(dice.chance(0.2)
      ? { tls: [{ match: [{ port: 443, sniHosts: ['ext.example'] }], route: [{ destination: destination(dice) }] }] }
      : {}),
  }));

function trafficPolicy(dice: Dice): object {
  return {
    ...(dice.chance(0.4) ? { loadBalancer: { simple: dice.pick(['ROUND_ROBIN', 'RANDOM', 'PASSTHROUGH']) } } : {}),
    ...(dice.chance(0.2) ? { loadBalancer: { consistentHash: { httpHeaderName: 'x-user' } } } : {}),
    ...(dice.chance(0.3) ? { outlierDetection: { consecutive5xxErrors: 3, interval: '5s' } } : {}),
    ...(dice.chance(0.3) ? { tls: { mode: dice.pick(['DISABLE', 'ISTIO_MUTUAL', 'SIMPLE']) } } : {}),
    ...(dice.chance(0.3) ? { connectionPool: { http: { http2MaxRequests: 10 + dice.below(3) } } } : {}),
    ...(dice.chance(0.2)
      ? { portLevelSettings: [{ port: { number: 80 }, connectionPool: { tcp: { maxConnections: 7 } } }] }
      : {}),
  };
}

const destinationRule = (namespace: string, name: string): Slot =>
  istio('DestinationRule', namespace, name, (dice) => ({
    host: dice.pick(hosts),
    ...(dice.chance(0.7) ? { trafficPolicy: trafficPolicy(dice) } : {}),
    ...(dice.chance(0.7)
      ? {
          subsets: versions
            .filter(() => dice.chance(0.7))
            .map((version) => ({
              name: version,
              labels: { version },
              ...(dice.chance(0.3) ? { trafficPolicy: trafficPolicy(dice) } : {}),
            })),
        }
      : {}),
    ...(dice.chance(0.3) ? { exportTo: dice.pick(exportTo) } : {}),
    ...(dice.chance(0.15) ? { workloadSelector: { matchLabels: { app: 'a' } } } : {}),
  }));

const egressHosts = ['./*', '*/*', 'blue/*', 'istio-system/*', 'red/a.red.svc.cluster.local', '*/ext.example', '~/*'];

const sidecar = (namespace: string, name: string): Slot =>
  istio('Sidecar', namespace, name, (dice) => ({
    ...(name === 'default' ? {} : { workloadSelector: { labels: { app: dice.pick(services) } } }),
    egress: [
      ...(dice.chance(0.3)
        ? [{ port: { number: 9080, protocol: 'HTTP', name: 'egress' }, hosts: [dice.pick(egressHosts)] }]
        : []),
      { hosts: [dice.pick(egressHosts), dice.pick(egressHosts)] },
    ],
    ...(dice.chance(0.3)
      ? { ingress: [{ port: { number: 9080, protocol: 'HTTP', name: 'in' }, defaultEndpoint: '127.0.0.1:8080' }] }
      : {}),
    ...(dice.chance(0.3) ? { outboundTrafficPolicy: { mode: dice.pick(['REGISTRY_ONLY', 'ALLOW_ANY']) } } : {}),
  }));

const entryPorts = [
  { number: 80, name: 'http', protocol: 'HTTP' },
  { number: 443, name: 'tls', protocol: 'TLS' },
  { number: 9000, name: 'tcp', protocol: 'TCP' },
] as const;

const serviceEntry = (namespace: string, name: string): Slot =>
  istio('ServiceEntry', namespace, name, (dice) => {
    const resolution = dice.pick(['NONE', 'STATIC', 'DNS'] as const);
    const byLabels = resolution !== 'NONE' && dice.chance(0.3);
    const address = resolution === 'DNS' ? 'target.example' : dice.pick(['10.9.0.1', '10.9.0.2']);
    return {
      hosts: [dice.pick(resolution === 'NONE' ? ['ext.example', '*.wild.example'] : ['ext.example', 'other.example'])],
      ...(dice.chance(0.5) ? { addresses: [dice.pick(['10.50.0.1', '10.50.0.2'])] } : {}),
      ports: uniquePorts(dice, entryPorts),
      location: dice.pick(['MESH_EXTERNAL', 'MESH_INTERNAL']),
      resolution,
      ...(byLabels ? { workloadSelector: { labels: { app: dice.pick(['vm', 'a']) } } } : {}),
      ...(resolution !== 'NONE' && !byLabels
        ? { endpoints: [{ address, labels: { version: dice.pick(versions) } }] }
        : {}),
      ...(dice.chance(0.2) ? { exportTo: dice.pick(exportTo) } : {}),
    };
  });

const workloadEntry = (namespace: string, name: string): Slot =>
  istio('WorkloadEntry', namespace, name, (dice) => ({
    address: dice.pick(['10.8.0.1', '10.8.0.2']),
    labels: { app: dice.pick(['vm', 'a']), version: dice.pick(versions) },
    ...(dice.chance(0.3) ? { weight: 3 } : {}),
    serviceAccount: 'vm',
  }));

const peerAuthentication = (namespace: string, name: string): Slot =>
  istio('PeerAuthentication', namespace, name, (dice) => ({
    ...(name === 'default' ? {} : { selector: { matchLabels: { app: dice.pick(services) } } }),
    mtls: { mode: dice.pick(['STRICT', 'PERMISSIVE', 'DISABLE', 'UNSET']) },
    ...(name !== 'default' && dice.chance(0.5) ? { portLevelMtls: { 8080: { mode: 'DISABLE' } } } : {}),
  }));

const gateway = (namespace: string, name: string): Slot =>
  istio('Gateway', namespace, name, (dice) => ({
    selector: { istio: 'ingressgateway' },
    servers: [
      { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: [dice.pick(['*', 'extra.example', 'red/*'])] },
      ...(dice.chance(0.4)
        ? [{ port: { number: 443, name: 'tls', protocol: 'TLS' }, hosts: ['*'], tls: { mode: 'PASSTHROUGH' } }]
        : []),
    ],
  }));

const ingressClass: Slot = {
  ...{ kind: 'IngressClass', apiVersion: 'networking.k8s.io/v1', namespace: '', name: 'mesh' },
  make: (dice) => ({ spec: { controller: dice.pick(['istio.io/ingress-controller', 'k8s.io/ingress-nginx']) } }),
};

const ingressPath = (dice: Dice): Readonly<Record<string, unknown>> => ({
  path: dice.pick(['/', '/x', '/x/y', '/x.*']),
  pathType: dice.pick(['Exact', 'Prefix', 'ImplementationSpecific']),
  backend: {
    service: {
      name: dice.pick(services),
      port: dice.chance(0.5) ? { number: 80 } : { name: dice.pick(['http', 'tcp']) },
    },
  },
});

const ingress = (namespace: string, name: string): Slot => ({
  ...{ kind: 'Ingress', apiVersion: 'networking.k8s.io/v1', namespace, name },
  make: (dice) => ({
    metadata: dice.chance(0.4)
      ? { annotations: { 'kubernetes.io/ingress.class': dice.pick(['istio', 'istio', 'nginx']) } }
      : {},
    spec: {
      ...(dice.chance(0.4) ? { ingressClassName: 'mesh' } : {}),
      ...(dice.chance(0.4)
        ? { tls: [{ hosts: [dice.pick(['extra.example', 'in.example'])], secretName: 'cert' }] }
        : {}),
      rules: Array.from({ length: 1 + dice.below(2) }, () => ({
        ...(dice.chance(0.8) ? { host: dice.pick(['extra.example', 'in.example', '*.example']) } : {}),
        http: { paths: Array.from({ length: 1 + dice.below(3) }, () => ingressPath(dice)) },
      })),
    },
  }),
});

const appNamespaces = namespaces.filter((namespace) => namespace !== 'istio-system');

/** Everything that can be there: 70 objects or so. */
export const slots: readonly Slot[] = [
  ...appNamespaces.flatMap((namespace, i) =>
    services.flatMap((name, j) => {
      const place = i * services.length + j;
      const places = [service(namespace, name, place), slice(namespace, name, place)];
      return [...places, pod(namespace, name, place, 1), pod(namespace, name, place, 2)];
    }),
  ),
  ...['n1', 'n2'].map(node),
  ...namespaces.map(namespaceSlot),
  ...['one', 'two', 'three'].flatMap((name) => appNamespaces.map((namespace) => virtualService(namespace, name))),
  virtualService('istio-system', 'one'),
  ...['one', 'two'].flatMap((name) => namespaces.map((namespace) => destinationRule(namespace, name))),
  ...appNamespaces.flatMap((namespace) => ['default', 'some'].map((name) => sidecar(namespace, name))),
  sidecar('istio-system', 'default'),
  ...appNamespaces.flatMap((namespace) => ['one', 'two'].map((name) => serviceEntry(namespace, name))),
  ...['vm1', 'vm2'].map((name) => workloadEntry('red', name)),
  ...namespaces.map((namespace) => peerAuthentication(namespace, 'default')),
  ...appNamespaces.map((namespace) => peerAuthentication(namespace, 'some')),
  gateway('istio-system', 'gw'),
  gateway('red', 'gw'),
  ingressClass,
  ...appNamespaces.flatMap((namespace) => ['one', 'two'].map((name) => ingress(namespace, name))),
];

/** The mesh configuration of a seed. */
export function meshVariant(seed: number): MeshConfig {
  const texts = [
    'enableTracing: false',
    'outboundTrafficPolicy: { mode: REGISTRY_ONLY }',
    'enableAutoMtls: false',
    'accessLogFile: /dev/stdout',
    'localityLbSetting: { enabled: false }',
    'defaultServiceExportTo: ["."]',
    'defaultVirtualServiceExportTo: ["."]',
    'enableTracing: true',
    'ingressControllerMode: DEFAULT',
    'ingressControllerMode: "OFF"',
  ];
  const { mesh } = parseMeshConfig(texts[seed % texts.length] as string);
  if (mesh === undefined) throw new Error('a mesh configuration of the test does not parse');
  return mesh;
}

/** Proxies of every kind, at the addresses of some of the pods. */
export const someProxies: readonly Proxy[] = [
  sidecarProxy('a-1', 'red', podAddress(0, 1)),
  sidecarProxy('b-1', 'red', podAddress(1, 1)),
  sidecarProxy('a-2', 'red', podAddress(0, 2), {
    capabilities: { istioFilters: false, agentSds: false, internalListeners: false },
  }),
  sidecarProxy('b-2', 'blue', podAddress(5, 2), { interception: 'NONE' }),
  sidecarProxy('c-1', 'blue', podAddress(6, 1), { locality: { region: 'r', zone: 'z1', subzone: '' } }),
  sidecarProxy('client', 'blue', '10.7.0.1', { flavour: 'grpc', nodeName: 'n1' }),
  sidecarProxy('a-1', 'red', podAddress(0, 1), { flavour: 'grpc' }),
  sidecarProxy('gw', 'istio-system', '10.7.0.2', { flavour: 'gateway', labels: { istio: 'ingressgateway' } }),
];

function sidecarProxy(name: string, namespace: string, ip: string, over: Partial<Proxy> = {}): Proxy {
  const flavour = over.flavour ?? 'sidecar';
  return {
    nodeId: `${flavour}~${ip}~${name}.${namespace}~${namespace}.svc.cluster.local`,
    flavour,
    ipAddresses: [ip],
    workload: { name, namespace },
    namespace,
    dnsDomain: `${namespace}.svc.cluster.local`,
    labels: { app: name.slice(0, 1) },
    serviceAccount: 'default',
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
