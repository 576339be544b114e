// One admitted pod: the decision, the injection, and the difference as a JSON Patch.
import type { ClusterView, InjectionRequest, InjectionSettings } from './context.ts';
import { decideInjection, type InjectionDecision } from './decide.ts';
import { injectPod } from './inject.ts';
import { createPatch, type PatchOperation } from './json-patch.ts';
import type { Pod } from './pod.ts';
import { workloadOfPod } from './workload-meta.ts';

/** The answer about one pod. */
export type Admission =
  | {
      readonly kind: 'injected';
      readonly decision: InjectionDecision;
      readonly pod: Pod;
      readonly patch: readonly PatchOperation[];
    }
  | { readonly kind: 'skipped'; readonly decision: InjectionDecision }
  | { readonly kind: 'refused'; readonly problems: readonly string[] };

/** Answers for one pod; pure, all or nothing. */
export function injectAdmitted(
  request: Omit<InjectionRequest, 'workload'>,
  settings: InjectionSettings,
  cluster: ClusterView,
): Admission {
  const { pod } = request;
  const namespace = pod.metadata?.namespace || request.namespace;
  const decision = decideInjection(pod, namespace, settings.policy);
  if (!decision.inject) return { kind: 'skipped', decision };
  const workload = workloadOfPod(pod, namespace);
  const result = injectPod({ ...request, namespace, workload }, settings, cluster);
  if (result.kind === 'refused') return result;
  return { kind: 'injected', decision, pod: result.pod, patch: createPatch(pod, result.pod) };
}
