// What injection would do with a pod and why: which webhooks the API server calls, and what they answer.
import { revisionLabel } from '../config/revision.ts';
import { injectAdmitted } from './admit.ts';
import type { ClusterView, InjectionSettings } from './context.ts';
import { proxyEnvOf } from './inject-url.ts';
import { containerOf, labelsOf, type Pod, proxyName } from './pod.ts';
import { podShapeProblem } from './pod-shape.ts';
import { injectorSuffix, tagLabel, type Webhook, type WebhookConfiguration } from './registration.ts';
import { type LabelRequirement, type LabelSelector, matches, requirementsOf } from './selector.ts';
import { templateNamesOf } from './template.ts';

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
  /** The path that is called, which may hold settings for the proxy. */
  readonly path: string;
  /** Whether the API server sends it the pod. */
  readonly called: boolean;
  readonly reason: string;
}

/** What becomes of the pod. */
export interface InjectionVerdict {
  readonly outcome: 'injected' | 'left alone' | 'refused';
  /** Why, in sentences. */
  readonly reason: string;
  /** Names of the templates that are laid over the pod. */
  readonly templates?: readonly string[];
  /** How the proxy runs; `none` where the application speaks xDS itself. */
  readonly proxy?: 'container' | 'native sidecar' | 'none';
}

/** The whole answer. */
export interface InjectionExplanation extends InjectionVerdict {
  readonly webhooks: readonly WebhookExplanation[];
  readonly warnings: readonly string[];
}

/** A revision's settings, or why they cannot be used. */
export type RevisionSettings = { readonly settings: InjectionSettings } | { readonly problem: string };

/** What each injection webhook of a cluster does about a pod, in the order in which the API server calls them. */
export function explainWebhooks(
  question: InjectionQuestion,
  configurations: readonly WebhookConfiguration[],
): readonly WebhookExplanation[] {
  return configurations.flatMap((configuration) =>
    (configuration.webhooks ?? [])
      .filter((webhook) => webhook.name.endsWith(injectorSuffix))
      .map((webhook) => explainWebhook(configuration, webhook, question)),
  );
}

/**
 * Answers for the pod as the called webhooks would, by the settings of each one's revision. Of several, one that refuses
 * decides, else the last that injects.
 */
export function explainInjection(
  question: InjectionQuestion,
  webhooks: readonly WebhookExplanation[],
  settingsOf: (revision: string) => RevisionSettings,
  cluster: ClusterView,
): InjectionExplanation {
  const called = webhooks.filter((webhook) => webhook.called);
  if (called.length === 0) {
    const reason =
      webhooks.length === 0
        ? 'The cluster has no injection webhook.'
        : `No injection webhook selects the pod in namespace ${question.namespace.name}.`;
    return { webhooks, warnings: [], outcome: 'left alone', reason };
  }
  const verdicts = called.map((webhook) => verdictOf(question, webhook, settingsOf(webhook.revision), cluster));
  const verdict =
    verdicts.find(({ outcome }) => outcome === 'refused') ??
    verdicts.findLast(({ outcome }) => outcome === 'injected') ??
    (verdicts[0] as InjectionVerdict);
  return { webhooks, warnings: warningsOf(called), ...verdict };
}

function warningsOf(called: readonly WebhookExplanation[]): readonly string[] {
  const revisions = [...new Set(called.map(({ revision }) => revision))];
  if (revisions.length < 2) return [];
  const names = `${revisions.slice(0, -1).join(', ')} and ${revisions.at(-1)}`;
  return [`Webhooks of revisions ${names} select the pod: each injects it anew, and the last one's proxy remains.`];
}

function verdictOf(
  { namespace, pod }: InjectionQuestion,
  { path, revision }: WebhookExplanation,
  read: RevisionSettings,
  cluster: ClusterView,
): InjectionVerdict {
  const refused = (reason: string): InjectionVerdict => ({ outcome: 'refused', reason });
  if ('problem' in read) {
    const how = 'Its control plane refuses pods, unless it still has the last good settings';
    return refused(`The settings of revision ${revision} cannot be used: ${read.problem}. ${how}.`);
  }
  const env = proxyEnvOf(path);
  if ('problem' in env) return refused(`The path of the webhook is malformed: ${env.problem}.`);
  const malformed = podShapeProblem(pod);
  if (malformed !== undefined) return refused(`The pod is malformed: ${malformed}.`);
  const answer = injectAdmitted({ pod, namespace: namespace.name, proxyEnv: env.env }, read.settings, cluster);
  if (answer.kind === 'skipped') return { outcome: 'left alone', reason: answer.decision.reason };
  if (answer.kind === 'refused') return refused(`${answer.problems.join('; ')}.`);
  return {
    outcome: 'injected',
    reason: answer.decision.reason,
    templates: templateNamesOf(pod, read.settings),
    proxy: proxyOf(answer.pod),
  };
}

function proxyOf({ spec }: Pod): 'container' | 'native sidecar' | 'none' {
  if (containerOf(proxyName, spec?.containers) !== undefined) return 'container';
  return containerOf(proxyName, spec?.initContainers) === undefined ? 'none' : 'native sidecar';
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
    path: pathOf(webhook),
    called: misses.length === 0,
    reason: misses.length === 0 ? hitText(webhook) : misses.join('; '),
  };
}

function pathOf({ clientConfig: { service, url } }: Webhook): string {
  const path = service?.path ?? (url !== undefined && URL.canParse(url) ? new URL(url).pathname : '');
  return path === '' ? '/inject' : decodeURIComponent(path);
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
