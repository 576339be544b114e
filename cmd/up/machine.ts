// What a cluster's own controllers would do, for one machine: pods for Deployments, endpoints for Services, all on loopback.
import type { Deployment } from '../../config/kinds/deployment.ts';
import type { EndpointSlice } from '../../config/kinds/endpoint-slice.ts';
import type { AnyObject } from '../../config/kinds/kinds.ts';
import type { Pod } from '../../config/kinds/pod.ts';
import type { Service } from '../../config/kinds/service.ts';
import type { Sidecar } from '../../config/kinds/sidecar.ts';
import { compareText } from '../../config/object.ts';

/** A workload to run: a pod with its sidecar and its app. */
export interface Instance {
  readonly pod: Pod;
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The pod's loopback address. */
  readonly address: string;
  /** Image of its first container. */
  readonly image: string;
  /** Ports that the app serves, each on a Unix socket of its own. */
  readonly ports: readonly number[];
}

/** The objects that the machine adds to those of the folder. */
export interface MachineState {
  readonly instances: readonly Instance[];
  readonly objects: readonly AnyObject[];
}

/** Port on the pod's address where its sidecar takes the app's calls, as an HTTP proxy. */
export const forwardProxyPort = 15080;

/** Pods start at this address: 127.0.8.1, and so on; lower ones are for gateways and what lies outside. */
const firstHost = { third: 8, fourth: 1 } as const;
const maxInstances = 200;

/**
 * Pods, endpoint slices and the Sidecars by which each proxy binds its own loopback address. Pure and stable: a
 * Deployment keeps its addresses while `previous` holds them. `socketOf` names the Unix socket of an app's port.
 */
export function machineOf(
  deployments: readonly Deployment[],
  services: readonly Service[],
  previous: readonly Instance[],
  socketOf: (namespace: string, pod: string, port: number) => string,
): MachineState {
  const taken = new Map(previous.map((instance) => [`${instance.namespace}/${instance.name}`, instance.address]));
  const used = new Set(taken.values());
  const wanted = deployments
    .flatMap(replicasOf)
    .sort((a, b) => compareText(`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`));
  const instances = wanted.slice(0, maxInstances).map((replica): Instance => {
    const address = taken.get(`${replica.namespace}/${replica.name}`) ?? freeAddress(used);
    used.add(address);
    return { ...replica, address, pod: podOf(replica, address) };
  });
  const slices = services.flatMap((service) => sliceOf(service, instances));
  const sidecars = instances.map((instance) => sidecarOf(instance, socketOf));
  return { instances, objects: [...instances.map((instance) => instance.pod), ...slices, ...sidecars] };
}

type Replica = Omit<Instance, 'address' | 'pod'>;

function replicasOf(deployment: Deployment): readonly Replica[] {
  const { name, namespace } = deployment.metadata;
  const template = deployment.spec?.template;
  const container = template?.spec?.containers?.[0];
  const count = Math.max(0, deployment.spec?.replicas ?? 1);
  return Array.from({ length: Math.min(count, maxInstances) }, (_, i) => ({
    name: `${name}-${i}`,
    namespace,
    serviceAccount: template?.spec?.serviceAccountName ?? 'default',
    labels: { ...template?.metadata?.labels, 'security.istio.io/tlsMode': 'istio', [instanceLabel]: `${name}-${i}` },
    image: container?.image ?? '',
    ports: (container?.ports ?? []).map((port) => port.containerPort ?? 0).filter((port) => port > 0),
  }));
}

function freeAddress(used: ReadonlySet<string>): string {
  for (let i = 0; ; i++) {
    const address = `127.0.${firstHost.third + Math.floor(i / 250)}.${firstHost.fourth + (i % 250)}`;
    if (!used.has(address)) return address;
  }
}

function podOf(replica: Replica, address: string): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: replica.name, namespace: replica.namespace, labels: replica.labels },
    spec: {
      serviceAccountName: replica.serviceAccount,
      containers: [
        { name: 'app', image: replica.image, ports: replica.ports.map((containerPort) => ({ containerPort })) },
      ],
    },
    status: {
      phase: 'Running',
      podIP: address,
      podIPs: [{ ip: address }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  };
}

function sliceOf(service: Service, instances: readonly Instance[]): readonly EndpointSlice[] {
  const selector = Object.entries(service.spec?.selector ?? {});
  if (selector.length === 0) return [];
  const { name, namespace } = service.metadata;
  const chosen = instances.filter(
    (i) => i.namespace === namespace && selector.every(([label, value]) => i.labels[label] === value),
  );
  return [
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${name}-local`, namespace, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: chosen.map((instance) => ({
        addresses: [instance.address],
        conditions: { ready: true, serving: true, terminating: false },
        targetRef: { kind: 'Pod', name: instance.name, namespace },
      })),
      ports: (service.spec?.ports ?? []).map((port) => ({
        name: port.name ?? '',
        port: typeof port.targetPort === 'number' ? port.targetPort : (port.port ?? 0),
        protocol: 'TCP',
      })),
    } as EndpointSlice,
  ];
}

/** Without iptables each proxy binds its pod's address itself, and hands requests to the app's socket. */
function sidecarOf(instance: Instance, socketOf: (namespace: string, pod: string, port: number) => string): Sidecar {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'Sidecar',
    metadata: { name: `local-${instance.name}`, namespace: instance.namespace },
    spec: {
      workloadSelector: { labels: { [instanceLabel]: instance.name } },
      ingress: instance.ports.map((number) => ({
        port: { number, protocol: 'HTTP', name: `http-${number}` },
        bind: instance.address,
        defaultEndpoint: `unix://${socketOf(instance.namespace, instance.name, number)}`,
      })),
      // One forward proxy takes all the app's calls: nothing else of the sidecar listens on the machine's ports.
      egress: [
        {
          port: { number: forwardProxyPort, protocol: 'HTTP_PROXY', name: 'forward-proxy' },
          bind: instance.address,
          hosts: ['*/*'],
        },
      ],
    },
  };
}

/** A label that tells the pods of a Deployment apart, so that each gets its own Sidecar. */
export const instanceLabel = 'meltemi.local/instance';
