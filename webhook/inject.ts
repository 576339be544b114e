// From a pod to the pod with its proxy: pure, on objects, the same for the webhook and for `kube-inject`.

import { probePortOf } from './agentless.ts';
import { checkAnnotations, problemText } from './annotations.ts';
import { conflictsOf } from './conflicts.ts';
import type { ClusterView, InjectionRequest, InjectionSettings, TemplateContext } from './context.ts';
import { proxyImageOf } from './image.ts';
import { mergePod } from './merge.ts';
import { statusPortOf } from './mesh-settings.ts';
import { isNative } from './native.ts';
import { proxyIdsOf } from './openshift.ts';
import { orderContainers } from './order.ts';
import { applyOverrides, type Overrides, overridesOf, reinsertOverrides } from './overrides.ts';
import type { Pod } from './pod.ts';
import * as pods from './pod.ts';
import { redirectProbes, rewriteProbes, rewritesProbes } from './probes.ts';
import { mergePrometheus, mergesMetrics, withoutMerge } from './prometheus.ts';
import { mergeProxyConfig, type ProxyConfig, parseProxyConfig, proxyConfigText } from './proxy-config.ts';
import { holdsApplication } from './sidecar.ts';
import { statusAnnotation, statusOf, statusText } from './status.ts';
import { isAgentless, templateNamesOf, templates } from './template.ts';

/** The outcome: a whole new pod, or the reasons why there is none. There is nothing in between. */
export type InjectionResult =
  | { readonly kind: 'injected'; readonly pod: Pod }
  | { readonly kind: 'refused'; readonly problems: readonly string[] };

/** Injects a pod that `decideInjection` has chosen. Idempotent: an injected pod comes out as it went in. */
export function injectPod(
  request: InjectionRequest,
  settings: InjectionSettings,
  cluster: ClusterView,
): InjectionResult {
  const annotations = pods.annotationsOf(request.pod);
  const problems = checkAnnotations(annotations).map(problemText);
  const overrides = overridesOf(request.pod);
  if ('problem' in overrides) problems.push(overrides.problem);
  const names = templateNamesOf(request.pod, settings);
  const unknown = names.filter((name) => !Object.hasOwn(templates, name));
  if (unknown.length > 0) {
    const known = Object.keys(templates).sort().join(', ');
    problems.push(`requested template ${unknown.map((n) => JSON.stringify(n)).join(', ')} not found; have ${known}`);
  }
  if (problems.length === 0) problems.push(...conflictsOf(request.pod, names, settings));
  if (problems.length > 0 || 'problem' in overrides) return { kind: 'refused', problems };
  return { kind: 'injected', pod: build(request, settings, cluster, names, overrides) };
}

function build(
  request: InjectionRequest,
  settings: InjectionSettings,
  cluster: ClusterView,
  names: readonly string[],
  overrides: Overrides,
): Pod {
  const original = withContainers(request.pod);
  const stripped = reinsertOverrides(strip(original, settings), overrides, original);
  const context = contextOf(request, stripped, settings, cluster);
  let template: Pod = {};
  let merged: Pod = settle(original, context.native && names.includes('sidecar'));
  for (const name of names) {
    const overlay = templates[name]?.(context) ?? {};
    template = mergePod(template, overlay);
    merged = mergePod(merged, overlay);
  }
  const overridden = applyOverrides({
    merged,
    original,
    template,
    kept: overrides,
    openShift: settings.openShift,
    alreadyInjected: pods.annotationsOf(original)[statusAnnotation] !== undefined,
    interceptionMode: context.interceptionMode,
  });
  return finish(overridden, template, request, context);
}

function withContainers(pod: Pod): Pod {
  return pod.spec?.containers === undefined ? { ...pod, spec: { ...pod.spec, containers: [] } } : pod;
}

// As a native sidecar the proxy's container moves among the init containers, whatever list its author put it in.
function settle(pod: Pod, isSidecar: boolean): Pod {
  const { spec } = pod;
  const proxy = pods.containerOf(pods.proxyName, spec?.containers);
  if (!isSidecar || proxy === undefined) return pod;
  const containers = (spec?.containers ?? []).filter((c) => c.name !== pods.proxyName);
  return { ...pod, spec: { ...spec, containers, initContainers: [...(spec?.initContainers ?? []), proxy] } };
}

/** The pod without what an earlier injection added. */
function strip(pod: Pod, settings: InjectionSettings): Pod {
  const status = statusOf(pod);
  if (status === undefined) return pod;
  const { spec } = pod;
  const without = (containers: readonly pods.Container[] | undefined, names: readonly string[]) =>
    containers?.filter((container) => !names.includes(container.name));
  const initContainers = without(spec?.initContainers, status.initContainers);
  const stripped: Pod = {
    ...pod,
    spec: {
      ...spec,
      containers: without(spec?.containers, status.containers) ?? [],
      ...(initContainers === undefined ? {} : { initContainers }),
    },
  };
  const { [statusAnnotation]: _status, ...annotations } = pods.annotationsOf(stripped);
  return withoutMerge(pods.withMeta(stripped, { annotations }), statusPortOf(settings.mesh));
}

function contextOf(
  request: InjectionRequest,
  pod: Pod,
  settings: InjectionSettings,
  cluster: ClusterView,
): TemplateContext {
  const annotations = pods.annotationsOf(pod);
  const values = valuesFor(request, settings);
  const proxyConfig = proxyConfigOf(request, settings, cluster);
  const configured = proxyConfig['interceptionMode'];
  const mode = annotations['sidecar.istio.io/interceptionMode'] ?? (typeof configured === 'string' ? configured : '');
  const clusterId = request.proxyEnv['ISTIO_META_CLUSTER_ID'] ?? (values.clusterName || 'Kubernetes');
  return {
    settings,
    values,
    mesh: settings.mesh,
    proxyConfig,
    pod,
    annotations,
    labels: pods.labelsOf(pod),
    workload: request.workload,
    native: isNative(request.pod, settings, cluster, clusterId),
    image: proxyImageOf(values, values.proxy.image, proxyConfig, annotations),
    initImage: proxyImageOf(values, values.init.image, {}, annotations),
    ...proxyIdsOf(settings.openShift ? cluster.namespaceAnnotations(request.namespace) : undefined),
    interceptionMode: mode === '' ? 'REDIRECT' : mode,
    proxyConfigText: proxyConfigText(proxyConfig),
  };
}

// A webhook call may name the caller's network in its URL.
function valuesFor(request: InjectionRequest, settings: InjectionSettings): InjectionSettings['values'] {
  const clusterName = request.proxyEnv['ISTIO_META_CLUSTER_ID'];
  const network = request.proxyEnv['ISTIO_META_NETWORK'];
  if (clusterName === undefined && network === undefined) return settings.values;
  return {
    ...settings.values,
    ...(clusterName === undefined ? {} : { clusterName }),
    ...(network === undefined ? {} : { network }),
  };
}

/** Mesh defaults, ProxyConfig resources from the general to the particular, and the pod's annotation. */
function proxyConfigOf(request: InjectionRequest, settings: InjectionSettings, cluster: ClusterView): ProxyConfig {
  const resources = cluster.proxyConfigs(request.namespace, pods.labelsOf(request.pod));
  const text = pods.annotationsOf(request.pod)['proxy.istio.io/config'];
  const parsed = text === undefined ? { config: {} } : parseProxyConfig(text);
  const own = 'config' in parsed ? parsed.config : {};
  return [settings.mesh.defaultConfig, ...resources, own].reduce(mergeProxyConfig);
}

/** What follows the templates: environment of the URL, metrics, probes, labels, status, order. */
function finish(pod: Pod, template: Pod, request: InjectionRequest, context: TemplateContext): Pod {
  const { settings } = context;
  const port = statusPortOf(settings.mesh);
  let result = withUrlEnv(pod, request.proxyEnv);
  const agentless = isAgentless(context);
  if (!agentless && mergesMetrics(pods.annotationsOf(result), settings.mesh.enablePrometheusMerge)) {
    result = mergePrometheus(result, port);
  }
  if (agentless && rewritesProbes(result, settings) && probePortOf(context) > 0) {
    result = redirectProbes(result, probePortOf(context));
  }
  if (!agentless && rewritesProbes(result, settings) && pods.anyContainerOf(pods.proxyName, result) !== undefined) {
    result = rewriteProbes(result, port, annotatedPort(result, port), statusOf(request.pod) !== undefined);
  }
  const { network } = context.values;
  result = pods.withMeta(result, {
    labels: { ...pods.labelsOf(result), ...(network === '' ? {} : { 'topology.istio.io/network': network }) },
    annotations: {
      ...pods.annotationsOf(result),
      [statusAnnotation]: statusText(template, settings.revision),
      ...settings.injectedAnnotations,
    },
  });
  return orderContainers(result, holdsApplication(context));
}

function annotatedPort(pod: Pod, fallback: number): number {
  const said = pods.annotationsOf(pod)['status.sidecar.istio.io/port'];
  return said !== undefined && /^\d{1,5}$/.test(said) ? Number(said) : fallback;
}

function withUrlEnv(pod: Pod, env: Readonly<Record<string, string>>): Pod {
  const names = Object.keys(env).sort();
  if (names.length === 0) return pod;
  return pods.withProxy(pod, (proxy) => ({
    ...proxy,
    env: [
      ...(proxy.env ?? []).filter((variable) => !Object.hasOwn(env, variable.name)),
      ...names.map((name) => ({ name, value: env[name] ?? '' })),
    ],
  }));
}
