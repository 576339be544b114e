// What injection would do with a pod and why: which webhooks the API server calls, and what they decide.
import { decideInjection, type InjectionPolicy } from './decide.ts';
import { labelsOf, type Pod } from './pod.ts';
import { revisionLabel, tagLabel, type Webhook, type WebhookConfiguration } from './registration.ts';
import { type LabelRequirement, type LabelSelector, matches, requirementsOf } from './selector.ts';

/** The pod in question and where it would be created. */
export interface InjectionQuestion {
  readonly namespace: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly pod: Pod;
}

/** One webhook's part in the answer. */
export interface WebhookExplanation {
  readonly configuration: string;
  readonly webhook: string;
  readonly revision: string;
  readonly tag?: string;
  /** Whether the API server sends it the pod. */
  readonly called: boolean;
  readonly reason: string;
}

/** The whole answer. */
export interface InjectionExplanation {
  readonly webhooks: readonly WebhookExplanation[];
  readonly injected: boolean;
  readonly reason: string;
}

/** Explains one pod by the cluster's webhook configurations and the injector's policy. */
export function explainInjection(
  question: InjectionQuestion,
  configurations: readonly WebhookConfiguration[],
  policy: InjectionPolicy,
): InjectionExplanation {
  const { namespace, pod } = question;
  const webhooks = configurations.flatMap((configuration) =>
    (configuration.webhooks ?? [])
      .filter((webhook) => webhook.name.endsWith('sidecar-injector.istio.io'))
      .map((webhook) => explainWebhook(configuration, webhook, question)),
  );
  const called = webhooks.filter((webhook) => webhook.called);
  if (called.length === 0) {
    const reason =
      webhooks.length === 0
        ? 'The cluster has no injection webhook.'
        : `No injection webhook selects the pod in namespace ${namespace.name}.`;
    return { webhooks, injected: false, reason };
  }
  const decision = decideInjection(pod, namespace.name, policy);
  return { webhooks, injected: decision.inject, reason: decision.reason };
}

function explainWebhook(
  configuration: WebhookConfiguration,
  webhook: Webhook,
  { namespace, pod }: InjectionQuestion,
): WebhookExplanation {
  const labels = configuration.metadata.labels ?? {};
  const tag = labels[tagLabel];
  const misses = [
    ...missesOf('namespace', webhook.namespaceSelector, {
      'kubernetes.io/metadata.name': namespace.name,
      ...namespace.labels,
    }),
    ...missesOf('pod', webhook.objectSelector, labelsOf(pod)),
  ];
  return {
    configuration: configuration.metadata.name,
    webhook: webhook.name,
    revision: labels[revisionLabel] ?? '',
    ...(tag === undefined ? {} : { tag }),
    called: misses.length === 0,
    reason: misses.length === 0 ? hitText(webhook) : misses.join('; '),
  };
}

function missesOf(
  subject: string,
  selector: LabelSelector | undefined,
  labels: Readonly<Record<string, string>>,
): readonly string[] {
  return requirementsOf(selector)
    .filter((requirement) => !matches({ matchExpressions: [requirement] }, labels))
    .map((requirement) => missText(subject, requirement, labels[requirement.key]));
}

function missText(subject: string, requirement: LabelRequirement, value: string | undefined): string {
  const { key, operator } = requirement;
  const values = (requirement.values ?? []).join(' or ');
  const has = value === undefined ? `has no label ${key}` : `has label ${key}=${value}`;
  switch (operator) {
    case 'In':
      return `the ${subject} ${has}, not ${values}`;
    case 'NotIn':
    case 'DoesNotExist':
      return `the ${subject} ${has}`;
    default:
      return `the ${subject} ${has}`;
  }
}

function hitText(webhook: Webhook): string {
  const texts = (selector: LabelSelector | undefined) =>
    (selector?.matchExpressions ?? [])
      .filter((requirement) => requirement.operator === 'In')
      .map((requirement) => `${requirement.key}=${(requirement.values ?? []).join('|')}`);
  const by = [
    ...texts(webhook.namespaceSelector).map((text) => `namespace label ${text}`),
    ...texts(webhook.objectSelector).map((text) => `pod label ${text}`),
  ];
  return by.length === 0 ? 'selects every pod that says nothing else' : by.join(' and ');
}
