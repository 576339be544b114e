// What makes up the registry of random worlds: Services and their EndpointSlices, pods, nodes, namespaces, networks,
// ServiceEntries and WorkloadEntries.
import { type Dice, exportTo, istio, type Slot, services, uniquePorts, versions } from './slot.ts';

const servicePorts = [
  { name: 'http', port: 80, targetPort: 8080 },
  { name: 'http-web', port: 80, targetPort: 'web' },
  { name: 'tcp', port: 9000 },
  { name: 'other', port: 7000 },
  { name: 'grpc', port: 7070 },
  { name: 'tls', port: 443 },
  { name: 'tls-net', port: 15443 },
  { name: 'http-alt', port: 9000, appProtocol: 'http' },
] as const;

const distributions = ['PreferClose', 'PreferSameZone', 'PreferSameNode', 'PreferFar'] as const;
const nodeNames = ['n1', 'n2', 'n3'] as const;

/** An annotation or label that is there by chance. */
function perhaps(dice: Dice, p: number, name: string, values: readonly string[]): Readonly<Record<string, string>> {
  return dice.chance(p) ? { [name]: dice.pick(values) } : {};
}

const distributionAnnotation = (dice: Dice) =>
  perhaps(dice, 0.15, 'networking.istio.io/traffic-distribution', [...distributions, 'prefersamenode', 'Any']);

const serviceMetadata = (dice: Dice) => ({
  annotations: {
    ...perhaps(
      dice,
      0.2,
      'networking.istio.io/exportTo',
      exportTo.map((names) => names.join(',')),
    ),
    ...distributionAnnotation(dice),
    ...perhaps(dice, 0.6, 'traffic.istio.io/nodeSelector', ['{}', '{"edge":"yes"}', 'edge=yes', '{"edge":true}']),
  },
  labels: {
    ...perhaps(dice, 0.3, 'note', ['x', 'y']),
    ...perhaps(dice, 0.3, 'topology.istio.io/network', ['net1', 'net2']),
    ...perhaps(dice, 0.5, 'networking.istio.io/gatewayPort', ['80', '443', '9000']),
    ...perhaps(dice, 0.2, 'istio.io/persistent-session', ['cookie']),
  },
});

/** How a Service is reached from outside of the cluster. */
function exposure(dice: Dice): Readonly<Record<string, unknown>> {
  if (dice.chance(0.5)) return { type: 'NodePort' };
  return dice.chance(0.1) ? { externalIPs: ['203.0.113.7'] } : {};
}

export function service(namespace: string, name: string, i: number): Slot {
  return {
    ...{ kind: 'Service', apiVersion: 'v1', namespace, name },
    make: (dice) => ({
      metadata: serviceMetadata(dice),
      spec: dice.chance(0.08)
        ? { type: 'ExternalName', externalName: dice.pick(['outside.example', 'b.blue.svc.cluster.local']) }
        : {
            ...exposure(dice),
            clusterIP: dice.chance(0.2) ? 'None' : `10.96.0.${i + 1}`,
            selector: dice.chance(0.9) ? { app: dice.chance(0.9) ? name : 'a' } : {},
            ports: uniquePorts(dice, servicePorts).map((port) => ({
              ...{ protocol: 'TCP', nodePort: 30_000 + port.port },
              ...port,
            })),
            ...(dice.chance(0.2) ? { trafficDistribution: dice.pick(distributions) } : {}),
            ...(dice.chance(0.1) ? { internalTrafficPolicy: dice.pick(['Local', 'Cluster']) } : {}),
            ...(dice.chance(0.2) ? { publishNotReadyAddresses: dice.chance(0.8) } : {}),
          },
    }),
  };
}

/** The address of a pod by the place of its namespace and service among all. */
export function podAddress(i: number, n: number): string {
  return `10.1.${i}.${n}`;
}

const conditions = [
  { ready: true, serving: true, terminating: false },
  { ready: true },
  { ready: true },
  {},
  { ready: false, serving: false, terminating: false },
  { ready: false, serving: true, terminating: true },
  { ready: false, serving: false, terminating: true },
  { ready: true, serving: true, terminating: true },
] as const;

export function slice(namespace: string, name: string, i: number): Slot {
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
          conditions: dice.pick(conditions),
          ...(dice.chance(0.8) ? { targetRef: { kind: 'Pod', namespace, name: `${name}-${n}` } } : {}),
          ...(dice.chance(0.5) ? { nodeName: dice.pick(nodeNames), zone: dice.pick(['z1', 'z2']) } : {}),
        })),
    }),
  };
}

export function pod(namespace: string, service: string, i: number, n: number): Slot {
  const ip = podAddress(i, n);
  return {
    ...{ kind: 'Pod', apiVersion: 'v1', namespace, name: `${service}-${n}` },
    make: (dice) => ({
      metadata: {
        labels: {
          app: dice.chance(0.9) ? service : dice.pick(services),
          version: dice.pick(versions),
          ...perhaps(dice, 0.5, 'security.istio.io/tlsMode', ['istio', 'istio', 'disabled']),
          ...perhaps(dice, 0.2, 'topology.istio.io/network', ['net1', 'net2']),
          ...perhaps(dice, 0.2, 'istio-locality', ['r.z1', 'r.z2.s1', 'far']),
        },
        ...(dice.chance(0.1) ? { deletionTimestamp: '2026-01-03T00:00:00Z' } : {}),
      },
      spec: {
        nodeName: dice.pick(nodeNames),
        serviceAccountName: dice.pick([service, 'default']),
        containers: [{ name: 'c', ports: [{ name: 'web', containerPort: dice.pick([8080, 8081]) }] }],
      },
      status: {
        phase: 'Running',
        podIP: ip,
        podIPs: [{ ip }],
        conditions: [{ type: 'Ready', status: dice.chance(0.8) ? 'True' : 'False' }],
      },
    }),
  };
}

const node = (name: string, i: number): Slot => ({
  ...{ kind: 'Node', apiVersion: 'v1', namespace: '', name },
  make: (dice) => ({
    metadata: {
      labels: {
        ...{ 'topology.kubernetes.io/region': 'r', 'topology.kubernetes.io/zone': dice.pick(['z1', 'z2']) },
        ...perhaps(dice, 0.5, 'topology.istio.io/subzone', ['s1', 's2']),
        ...perhaps(dice, 0.6, 'edge', ['yes', 'no', '']),
      },
    },
    status: {
      addresses: [
        { type: 'InternalIP', address: `10.2.0.${i + 1}` },
        ...(dice.chance(0.7) ? [{ type: 'ExternalIP', address: `192.0.2.${i + 1 + 10 * dice.below(2)}` }] : []),
      ],
    },
  }),
});

export const nodes: readonly Slot[] = nodeNames.map(node);

export const namespaceSlot = (name: string): Slot => ({
  ...{ kind: 'Namespace', apiVersion: 'v1', namespace: '', name },
  make: (dice) => ({
    metadata: {
      labels: {
        ...perhaps(dice, 0.5, 'topology.istio.io/network', ['', 'net1']),
        ...perhaps(dice, 0.7, 'mesh', ['on', 'on', 'off']),
      },
      annotations: distributionAnnotation(dice),
    },
  }),
});

const gatewayByName = (dice: Dice): string => {
  const host = `${dice.pick(services)}.red.svc.cluster.local`;
  return `{ registryServiceName: ${host}, port: ${dice.pick([443, 15443])} }`;
};

/** The ConfigMap with the mesh's networks; the mesh configuration itself comes otherwise. */
export const networks: Slot = {
  ...{ kind: 'ConfigMap', apiVersion: 'v1', namespace: 'istio-system', name: 'istio' },
  make: (dice) => {
    const endpoint = dice.pick(['{ fromRegistry: Kubernetes }', '{ fromCidr: 10.8.0.0/16 }']);
    const gateway = dice.chance(0.7) ? gatewayByName(dice) : '{ address: 198.51.100.1 }';
    return { data: { meshNetworks: `networks: { net2: { endpoints: [${endpoint}], gateways: [${gateway}] } }` } };
  },
};

const entryPorts = [
  { number: 80, name: 'http', protocol: 'HTTP' },
  { number: 443, name: 'tls', protocol: 'TLS' },
  { number: 9000, name: 'tcp', protocol: 'TCP' },
  { number: 7000, name: 'web', protocol: 'HTTP', targetPort: 7001 },
] as const;

/** Workloads that entries select: pods of `a` and WorkloadEntries. */
const selected = ['vm', 'a'] as const;

export const serviceEntry = (namespace: string, name: string): Slot => ({
  ...{ kind: 'ServiceEntry', apiVersion: 'networking.istio.io/v1', namespace, name },
  make: (dice) => {
    const resolution = dice.pick(['NONE', 'STATIC', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN'] as const);
    const byLabels = resolution !== 'NONE' && dice.chance(0.4);
    const address = resolution.startsWith('DNS') ? 'target.example' : dice.pick(['10.9.0.1', '10.9.0.2']);
    return {
      metadata: { annotations: distributionAnnotation(dice) },
      ...(dice.chance(0.2) ? { status: { addresses: [{ value: `240.240.0.${1 + dice.below(3)}` }] } } : {}),
      spec: {
        hosts: [
          dice.pick(resolution === 'NONE' ? ['ext.example', '*.wild.example'] : ['ext.example', 'other.example']),
          // In its own namespace the entry adds to the Service.
          ...(resolution !== 'NONE' && dice.chance(0.3) ? [`a.${namespace}.svc.cluster.local`] : []),
        ],
        ...(dice.chance(0.3) ? { subjectAltNames: ['spiffe://partner/ns/a/sa/b'] } : {}),
        ...(dice.chance(0.5) ? { addresses: [dice.pick(['10.50.0.1', '10.50.0.2'])] } : {}),
        ports: uniquePorts(dice, entryPorts),
        location: dice.pick(['MESH_EXTERNAL', 'MESH_INTERNAL']),
        resolution,
        ...(byLabels ? { workloadSelector: { labels: { app: dice.pick(selected) } } } : {}),
        ...(resolution !== 'NONE' && !byLabels
          ? { endpoints: [{ address, labels: { version: dice.pick(versions) } }] }
          : {}),
        ...(dice.chance(0.2) ? { exportTo: dice.pick(exportTo) } : {}),
      },
    };
  },
});

/** Services of every name may have it beside their pods. */
export const workloadEntry = (namespace: string, name: string): Slot => ({
  ...istio('WorkloadEntry', namespace, name, () => ({})),
  make: (dice) => ({
    ...(dice.chance(0.3)
      ? {
          metadata: { annotations: { 'proxy.istio.io/health-checks-enabled': 'true' } },
          status: { conditions: [{ type: 'Healthy', status: dice.pick(['True', 'False']) }] },
        }
      : {}),
    spec: {
      address: dice.pick(['10.8.0.1', '10.8.0.1', '10.8.0.2', 'vm.example', 'vm.example', 'unix:///vm.sock']),
      labels: { app: dice.pick(['vm', ...services]), version: dice.pick(versions) },
      ...(dice.chance(0.3) ? { weight: 3 } : {}),
      ...(dice.chance(0.4) ? { ports: dice.pick([{ http: 8082 }, { web: 8083 }, { tcp: 9001 }]) } : {}),
      ...(dice.chance(0.2) ? { locality: dice.pick(['r/z1', 'r/z2/s1']) } : {}),
      serviceAccount: 'vm',
    },
  }),
});
