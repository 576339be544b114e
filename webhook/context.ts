// All that injection depends on besides the pod: settings, names and what is known of the cluster.
import type { InjectionPolicy } from './decide.ts';
import type { JsonObject } from './json.ts';
import type { MeshSettings } from './mesh-settings.ts';
import type { Pod } from './pod.ts';
import type { ProxyConfig } from './proxy-config.ts';
import type { InjectorValues } from './values.ts';
import type { WorkloadMeta } from './workload-meta.ts';

/** What a control plane knows and is told once; shared by all pods. */
export interface InjectionSettings {
  readonly policy: InjectionPolicy;
  readonly values: InjectorValues;
  readonly mesh: MeshSettings;
  /** The control plane's revision; empty means `default`. */
  readonly revision: string;
  /** Native sidecars: by the nodes' kubelets, always, or never (the environment's ENABLE_NATIVE_SIDECARS). */
  readonly nativeSidecars: 'auto' | 'enabled' | 'disabled';
  /** Templates a pod gets that names none. Default: `sidecar`. */
  readonly defaultTemplates: readonly string[];
  /** Names that stand for other templates. */
  readonly templateAliases: Readonly<Record<string, readonly string[]>>;
  /** Annotations added to every injected pod. */
  readonly injectedAnnotations: Readonly<Record<string, string>>;
  /** COMPLIANCE_POLICY of the control plane; empty for none. */
  readonly compliancePolicy: string;
  /** On OpenShift the platform writes user and group into containers by itself. */
  readonly openShift: boolean;
}

/** What is looked up per pod, each in memory: admission does not wait for the API server. */
export interface ClusterView {
  /** Kubelet versions (`v1.33.1`) of the named node, or of all nodes of that cluster; empty where unknown. */
  kubeletVersions(clusterId: string, nodeName?: string): readonly string[];
  /** The namespace's annotations; undefined where the namespace is unknown. */
  namespaceAnnotations(namespace: string): Readonly<Record<string, string>> | undefined;
  /** ProxyConfig resources that select the pod, the most general first: root namespace, namespace, workload. */
  proxyConfigs(namespace: string, labels: Readonly<Record<string, string>>): readonly ProxyConfig[];
}

/** One admission or one pod template. */
export interface InjectionRequest {
  readonly pod: Pod;
  readonly workload: WorkloadMeta;
  readonly namespace: string;
  /** Environment from the webhook's URL (`/inject/cluster/west/net/n1`): variable name to value. */
  readonly proxyEnv: Readonly<Record<string, string>>;
}

/** What a template builds from: the pod without an earlier injection's parts, and its effective settings. */
export interface TemplateContext {
  readonly settings: InjectionSettings;
  readonly values: InjectorValues;
  readonly mesh: MeshSettings;
  readonly proxyConfig: ProxyConfig;
  readonly pod: Pod;
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly workload: WorkloadMeta;
  readonly native: boolean;
  /** The proxy's image, after annotations and ProxyConfig. */
  readonly image: string;
  /** The image of the init container; ProxyConfig does not choose its variant. */
  readonly initImage: string;
  readonly uid: number;
  readonly gid: number;
  /** REDIRECT, TPROXY or NONE. */
  readonly interceptionMode: string;
  /** ProxyConfig as text for the variable PROXY_CONFIG. */
  readonly proxyConfigText: string;
}

/** What a template lays over a pod. */
export type Overlay = JsonObject;
