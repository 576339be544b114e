// Injection into a workload's pod template, as `kube-inject` does it before anything reaches a cluster.
import type { ClusterView, InjectionSettings } from './context.ts';
import { decideInjection, type InjectionPolicy } from './decide.ts';
import { injectPod } from './inject.ts';
import { isObject, type JsonObject, listOf, memberAt, objectOf } from './json.ts';
import { annotationsOf, type Pod } from './pod.ts';
import { podShapeProblem } from './pod-shape.ts';
import { mergeProxyConfig, parseProxyConfig } from './proxy-config.ts';
import { typedForm } from './typed-form.ts';
import { type WorkloadMeta, workloadOfPod } from './workload-meta.ts';

/** What became of one object. `skipped` tells of each workload that was decided against, in one sentence. */
export type WorkloadResult =
  | { readonly kind: 'injected'; readonly object: JsonObject; readonly skipped: readonly string[] }
  /** Not a workload, or decided against. */
  | { readonly kind: 'unchanged'; readonly object: JsonObject; readonly skipped: readonly string[] }
  | { readonly kind: 'refused'; readonly problems: readonly string[] };

/** Where a kind of workload keeps its pod's metadata and spec. */
interface PodPlace {
  readonly metadata: readonly string[];
  readonly spec: readonly string[];
}

const template: PodPlace = { metadata: ['spec', 'template', 'metadata'], spec: ['spec', 'template', 'spec'] };

const places: Readonly<Record<string, PodPlace>> = {
  Pod: { metadata: ['metadata'], spec: ['spec'] },
  Deployment: template,
  StatefulSet: template,
  DaemonSet: template,
  ReplicaSet: template,
  ReplicationController: template,
  Job: template,
  // As in Istio, a CronJob's labels and annotations go to its jobs, not to their pods.
  CronJob: {
    metadata: ['spec', 'jobTemplate', 'metadata'],
    spec: ['spec', 'jobTemplate', 'spec', 'template', 'spec'],
  },
  DeploymentConfig: template,
  Rollout: template,
};

/** Kinds that `kube-inject` changes. */
export const workloadKinds: readonly string[] = Object.keys(places);

// Whoever names a manifest wants it injected: the cluster's policy and selectors are for pods that nobody named.
const asked: InjectionPolicy = { policy: 'enabled', alwaysInjectSelector: [], neverInjectSelector: [] };

/** Injects one object, or each of a list's: a List, or one of the lists that the API server answers (`PodList`). */
export function injectObject(object: JsonObject, settings: InjectionSettings, cluster: ClusterView): WorkloadResult {
  const kind = String(object['kind']);
  if (kind.endsWith('List') && Array.isArray(object['items'])) return injectList(object, settings, cluster);
  const place = Object.hasOwn(places, kind) ? places[kind] : undefined;
  const spec = place === undefined ? undefined : memberAt(object, ...place.spec);
  if (place === undefined || !isObject(spec)) return { kind: 'unchanged', object, skipped: [] };
  const workload = workloadOf(object, kind);
  const pod: Pod = { metadata: objectOf(memberAt(object, ...place.metadata)), spec };
  const shape = podShapeProblem(pod);
  if (shape !== undefined) return { kind: 'refused', problems: [`the pod is malformed: ${shape}`] };
  const decision = decideInjection(pod, workload.namespace, asked);
  if (!decision.inject) {
    const subject = `${kind} "${workload.namespace === '' ? '' : `${workload.namespace}/`}${nameOf(object)}"`;
    return { kind: 'unchanged', object: typedForm(object), skipped: [skipText(subject, decision.rule)] };
  }
  const adjusted = withAnnotatedMesh(pod, settings);
  if ('problem' in adjusted) return { kind: 'refused', problems: [adjusted.problem] };
  const request = { pod, workload, namespace: workload.namespace, proxyEnv: {} };
  const result = injectPod(request, adjusted.settings, cluster);
  if (result.kind === 'refused') return result;
  const injected = replaceAt(replaceAt(object, place.metadata, result.pod.metadata), place.spec, result.pod.spec);
  return { kind: 'injected', object: typedForm(injected), skipped: [] };
}

function nameOf(object: JsonObject): string {
  const name = memberAt(object, 'metadata', 'name');
  return typeof name === 'string' ? name : '';
}

function workloadOf(object: JsonObject, kind: string): WorkloadMeta {
  const namespace = memberAt(object, 'metadata', 'namespace');
  const at = typeof namespace === 'string' ? namespace : '';
  if (kind === 'Pod') return workloadOfPod(object as Pod, at);
  return { apiVersion: String(object['apiVersion'] ?? ''), kind, name: nameOf(object), namespace: at };
}

// Here the annotation is known before anything runs, so it also decides what the webhook takes from mesh defaults:
// the port that scrapes and probes are sent to.
function withAnnotatedMesh(
  pod: Pod,
  settings: InjectionSettings,
): { readonly settings: InjectionSettings } | { readonly problem: string } {
  const text = annotationsOf(pod)['proxy.istio.io/config'];
  if (text === undefined) return { settings };
  const parsed = parseProxyConfig(text);
  if ('problem' in parsed) {
    return {
      problem: `invalid value for annotation 'proxy.istio.io/config': could not parse proxy config: ${parsed.problem}`,
    };
  }
  const defaultConfig = mergeProxyConfig(settings.mesh.defaultConfig, parsed.config);
  return { settings: { ...settings, mesh: { ...settings.mesh, defaultConfig } } };
}

function injectList(list: JsonObject, settings: InjectionSettings, cluster: ClusterView): WorkloadResult {
  // Items of `PodList` and the like need not say what they are.
  const itemKind = String(list['kind']).replace(/List$/, '');
  const implied = itemKind === '' ? {} : { apiVersion: list['apiVersion'], kind: itemKind };
  const items: JsonObject[] = [];
  const skipped: string[] = [];
  let isUnchanged = itemKind !== '';
  for (const item of listOf(list['items']).filter(isObject)) {
    const result = injectObject({ ...implied, ...item }, settings, cluster);
    if (result.kind === 'refused') return result;
    if (result.kind === 'injected' || result.skipped.length > 0) isUnchanged = false;
    items.push(result.object);
    skipped.push(...result.skipped);
  }
  if (isUnchanged) return { kind: 'unchanged', object: list, skipped };
  return { kind: 'injected', object: typedForm({ ...list, items }), skipped };
}

function skipText(subject: string, rule: string): string {
  const why = rule === 'host-network' ? 'has host networking enabled' : 'has sidecar injection disabled';
  return `===> Skipping injection because ${subject} ${why}`;
}

function replaceAt(object: JsonObject, path: readonly string[], value: unknown): JsonObject {
  const [first, ...rest] = path;
  if (first === undefined) return objectOf(value);
  return { ...object, [first]: replaceAt(objectOf(object[first]), rest, value) };
}
