// Annotations of a pod that cannot both be obeyed: the pod is refused with both names, not given one of the two.
import type { InjectionSettings } from './context.ts';
import { statusPortOf } from './mesh-settings.ts';
import { annotationsOf, type Pod } from './pod.ts';
import { probersOf, rewritesProbes } from './probes.ts';
import { isAgentless } from './template.ts';

/** Annotations for an agent, or for what only istio-proxy's container has: a plain Envoy could only ignore them. */
const needAgent = [
  'sidecar.istio.io/bootstrapOverride',
  'sidecar.istio.io/userVolume',
  'sidecar.istio.io/userVolumeMount',
] as const;

/**
 * The conflicts of a pod that asks for these templates, one sentence each. Combinations that Istio accepts and that
 * merely have no effect are left alone.
 */
export function conflictsOf(pod: Pod, templates: readonly string[], settings: InjectionSettings): readonly string[] {
  const annotations = annotationsOf(pod);
  const conflicts = annotations['meltemi.io/proxy'] === 'envoy' ? envoyConflicts(annotations, templates) : [];
  return [...conflicts, ...probeConflicts(pod, templates, settings)];
}

function envoyConflicts(
  annotations: Readonly<Record<string, string>>,
  templates: readonly string[],
): readonly string[] {
  const chosen = "annotation 'meltemi.io/proxy: envoy'";
  const grpc = templates.filter((name) => name.startsWith('grpc-'));
  const asked = annotations['inject.istio.io/templates'];
  return [
    ...(asked === undefined || grpc.length === 0
      ? []
      : [`annotation 'inject.istio.io/templates: ${asked}' conflicts with ${chosen}: proxyless gRPC has no Envoy`]),
    ...needAgent
      .filter((name) => Object.hasOwn(annotations, name))
      .map((name) => `annotation '${name}' conflicts with ${chosen}: only istio-proxy can obey it`),
    ...(annotations['prometheus.istio.io/merge-metrics'] === 'true'
      ? [`annotation 'prometheus.istio.io/merge-metrics: true' conflicts with ${chosen}: an agent would merge them`]
      : []),
  ];
}

// Without a port the agent does not listen, and Kubernetes takes no probe of port 0.
function probeConflicts(pod: Pod, templates: readonly string[], settings: InjectionSettings): readonly string[] {
  const annotations = annotationsOf(pod);
  const port = annotations['status.sidecar.istio.io/port'] ?? '';
  if (!/^0+$/.test(port) || templates.every((name) => name === 'grpc-simple')) return [];
  if (isAgentless({ annotations, values: settings.values }) || !rewritesProbes(pod, settings)) return [];
  const [path] = Object.keys(probersOf(pod, statusPortOf(settings.mesh)));
  if (path === undefined) return [];
  const rewrite = "'sidecar.istio.io/rewriteAppHTTPProbers'";
  return [
    `annotation 'status.sidecar.istio.io/port: ${port}' conflicts with ${rewrite}, which is true or unset: ` +
      `the probes and lifecycle calls of container ${path.split('/')[2]} would lead to port 0`,
  ];
}
