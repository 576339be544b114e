// Random small worlds of mesh objects for properties: what can be there, the mesh's configuration, and proxies.
import { type MeshConfig, parseMeshConfig } from '../../../config/mesh.ts';
import type { Proxy } from '../../../discovery/proxy/proxy.ts';
import {
  namespaceSlot,
  networks,
  nodes,
  pod,
  podAddress,
  service,
  serviceEntry,
  slice,
  workloadEntry,
} from './registry.ts';
import {
  destinationRule,
  gateway,
  ingress,
  ingressClass,
  peerAuthentication,
  sidecar,
  virtualService,
} from './rules.ts';
import { appNamespaces, namespaces, type Slot, services } from './slot.ts';

/** Everything that can be there: 90 objects or so. */
export const slots: readonly Slot[] = [
  ...appNamespaces.flatMap((namespace, i) =>
    services.flatMap((name, j) => {
      const place = i * services.length + j;
      const places = [service(namespace, name, place), slice(namespace, name, place)];
      return [...places, pod(namespace, name, place, 1), pod(namespace, name, place, 2)];
    }),
  ),
  ...nodes,
  networks,
  ...namespaces.map(namespaceSlot),
  ...['one', 'two', 'three'].flatMap((name) => appNamespaces.map((namespace) => virtualService(namespace, name))),
  virtualService('istio-system', 'one'),
  ...['one', 'two'].flatMap((name) => namespaces.map((namespace) => destinationRule(namespace, name))),
  ...appNamespaces.flatMap((namespace) => ['default', 'some'].map((name) => sidecar(namespace, name))),
  sidecar('istio-system', 'default'),
  ...appNamespaces.flatMap((namespace) => ['one', 'two'].map((name) => serviceEntry(namespace, name))),
  ...['vm1', 'vm2', 'vm3'].map((name) => workloadEntry('red', name)),
  workloadEntry('blue', 'vm1'),
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
    'discoverySelectors: [{ matchLabels: { mesh: "on" } }]',
    'discoverySelectors: [{ matchExpressions: [{ key: mesh, operator: DoesNotExist }] }, { matchLabels: { mesh: "on" } }]',
    'discoverySelectors: [{ matchLabels: { kubernetes.io/metadata.name: blue } }]',
    'localityLbSetting: { failoverPriority: [kubernetes.io/hostname] }',
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
  sidecarProxy('c-1', 'blue', podAddress(6, 1), {
    locality: { region: 'r', zone: 'z1', subzone: '' },
    network: 'net1',
  }),
  sidecarProxy('d-1', 'blue', podAddress(7, 1), { settings: { dnsCapture: true } }),
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
