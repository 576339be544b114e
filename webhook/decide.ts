// Whether a pod gets a proxy, and why (Istio's rules of precedence).
import { annotationsOf, labelsOf, type Pod } from './pod.ts';
import { type LabelSelector, selects } from './selector.ts';

/** The namespace-wide policy: what happens to pods that say nothing themselves. */
export interface InjectionPolicy {
  readonly policy: 'enabled' | 'disabled';
  readonly alwaysInjectSelector: readonly LabelSelector[];
  readonly neverInjectSelector: readonly LabelSelector[];
}

/** The decision about a pod, with the rule that made it. */
export interface InjectionDecision {
  readonly inject: boolean;
  readonly rule:
    | 'host-network'
    | 'system-namespace'
    | 'label'
    | 'annotation'
    | 'never-inject-selector'
    | 'always-inject-selector'
    | 'policy';
  /** One sentence that says why. */
  readonly reason: string;
}

/** Namespaces of Kubernetes itself, whose pods are never injected. */
export const systemNamespaces: ReadonlySet<string> = new Set([
  'kube-system',
  'kube-public',
  'kube-node-lease',
  'local-path-storage',
]);

const key = 'sidecar.istio.io/inject';

/**
 * Decides on one pod: host network and system namespaces are never injected; then the pod's label, its annotation
 * (only `true` and `false` count), the never and the always selectors, and the policy, the first that applies.
 */
export function decideInjection(pod: Pod, namespace: string, policy: InjectionPolicy): InjectionDecision {
  if (pod.spec?.hostNetwork === true) {
    return { inject: false, rule: 'host-network', reason: 'The pod uses the network of its host.' };
  }
  if (systemNamespaces.has(namespace)) {
    return { inject: false, rule: 'system-namespace', reason: `Namespace ${namespace} belongs to Kubernetes.` };
  }
  const labels = labelsOf(pod);
  const rule = Object.hasOwn(labels, key) ? 'label' : 'annotation';
  const value = rule === 'label' ? labels[key] : annotationsOf(pod)[key];
  if (value === 'true' || value === 'false') {
    return { inject: value === 'true', rule, reason: `The pod's ${rule} ${key} is ${value}.` };
  }
  if (policy.neverInjectSelector.some((selector) => selects(selector, labels))) {
    return { inject: false, rule: 'never-inject-selector', reason: 'A neverInjectSelector selects the pod.' };
  }
  if (policy.alwaysInjectSelector.some((selector) => selects(selector, labels))) {
    return { inject: true, rule: 'always-inject-selector', reason: 'An alwaysInjectSelector selects the pod.' };
  }
  return {
    inject: policy.policy === 'enabled',
    rule: 'policy',
    reason: `The pod says nothing itself and the injection policy is ${policy.policy}.`,
  };
}
