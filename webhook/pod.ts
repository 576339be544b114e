// The Kubernetes Pod as far as injection looks into it; every other field passes through untouched.
import type { JsonObject } from './json.ts';

export interface ContainerPort {
  readonly containerPort: number;
  readonly name?: string;
  readonly protocol?: string;
  readonly [field: string]: unknown;
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: JsonObject;
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
  readonly [field: string]: unknown;
}

/** A probe or lifecycle handler: at most one of the actions is set. */
export interface Handler {
  readonly httpGet?: JsonObject;
  readonly tcpSocket?: JsonObject;
  readonly grpc?: JsonObject;
  readonly timeoutSeconds?: number;
  readonly [field: string]: unknown;
}

export interface Lifecycle {
  readonly preStop?: Handler;
  readonly postStart?: Handler;
  readonly [field: string]: unknown;
}

export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly args?: readonly string[];
  readonly env?: readonly EnvVar[];
  readonly ports?: readonly ContainerPort[];
  readonly volumeMounts?: readonly VolumeMount[];
  readonly resources?: JsonObject;
  readonly restartPolicy?: string;
  readonly securityContext?: JsonObject;
  readonly livenessProbe?: Handler;
  readonly readinessProbe?: Handler;
  readonly startupProbe?: Handler;
  readonly lifecycle?: Lifecycle;
  readonly [field: string]: unknown;
}

export interface Volume {
  readonly name: string;
  readonly [source: string]: unknown;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly controller?: boolean;
  readonly [field: string]: unknown;
}

export interface PodMeta {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly [field: string]: unknown;
}

export interface PodSpec {
  readonly containers?: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Volume[];
  readonly imagePullSecrets?: readonly { readonly name: string }[];
  readonly hostNetwork?: boolean;
  readonly serviceAccountName?: string;
  readonly nodeName?: string;
  readonly [field: string]: unknown;
}

export interface Pod {
  readonly metadata?: PodMeta;
  readonly spec?: PodSpec;
  readonly [field: string]: unknown;
}

/** The proxy's container has this name, whether it is a container or a native sidecar among the init containers. */
export const proxyName = 'istio-proxy';

/** The container that sets up packet redirection. */
export const initName = 'istio-init';

/** The container that checks that the CNI plugin has set it up. */
export const validationName = 'istio-validation';

/** The image that stands for "the injector's choice". */
export const autoImage = 'auto';

/** The container of that name. */
export function containerOf(name: string, containers: readonly Container[] | undefined): Container | undefined {
  return containers?.find((container) => container.name === name);
}

/** The container of that name, among the containers or the init containers. */
export function anyContainerOf(name: string, pod: Pod): Container | undefined {
  return containerOf(name, pod.spec?.containers) ?? containerOf(name, pod.spec?.initContainers);
}

/** The pod's labels; empty where it has none. */
export function labelsOf(pod: Pod): Readonly<Record<string, string>> {
  return pod.metadata?.labels ?? {};
}

/** The pod's annotations; empty where it has none. */
export function annotationsOf(pod: Pod): Readonly<Record<string, string>> {
  return pod.metadata?.annotations ?? {};
}

/** The same pod with other labels or annotations. */
export function withMeta(pod: Pod, meta: Partial<Pick<PodMeta, 'labels' | 'annotations'>>): Pod {
  return { ...pod, metadata: { ...pod.metadata, ...meta } };
}

/** The same pod with the proxy's container changed, wherever it is. */
export function withProxy(pod: Pod, change: (proxy: Container) => Container): Pod {
  const inContainers = containerOf(proxyName, pod.spec?.containers) !== undefined;
  const list = inContainers ? 'containers' : 'initContainers';
  const containers = pod.spec?.[list];
  if (containers === undefined || containerOf(proxyName, containers) === undefined) return pod;
  return {
    ...pod,
    spec: { ...pod.spec, [list]: containers.map((c) => (c.name === proxyName ? change(c) : c)) },
  };
}
