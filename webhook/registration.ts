// The webhook configurations by which the API server calls us: istiod's names, selectors and policies.
import { revisionLabel } from '../config/revision.ts';
import type { LabelRequirement, LabelSelector } from './selector.ts';

/** How the API server reaches the control plane: through its Service, or by a URL from outside the cluster. */
export type WebhookTarget = { readonly service: string; readonly namespace: string } | { readonly url: string };

export interface RegistrationOptions {
  readonly target: WebhookTarget;
  /** The control plane's namespace. */
  readonly namespace: string;
  /** Empty or `default` for the default revision. */
  readonly revision: string;
  /** Path of the injection webhook: `/inject`, with the caller's settings behind it for remote clusters. */
  readonly injectPath?: string;
  readonly reinvocationPolicy?: 'Never' | 'IfNeeded';
  /** Whether pods of namespaces without any label are injected too. */
  readonly enableNamespacesByDefault?: boolean;
  /** PEM roots for the API server to check us by; usually patched in later (registration-controller.ts). */
  readonly caPem?: string;
}

/** One webhook of a configuration. */
export interface Webhook {
  readonly name: string;
  readonly clientConfig: {
    readonly service?: {
      readonly name: string;
      readonly namespace: string;
      readonly path: string;
      readonly port?: number;
    };
    readonly url?: string;
    /** Base64 of PEM. */
    readonly caBundle?: string;
  };
  readonly failurePolicy?: string;
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
  readonly [field: string]: unknown;
}

/** A MutatingWebhookConfiguration or ValidatingWebhookConfiguration (admissionregistration.k8s.io/v1). */
export interface WebhookConfiguration {
  readonly apiVersion: 'admissionregistration.k8s.io/v1';
  readonly kind: 'MutatingWebhookConfiguration' | 'ValidatingWebhookConfiguration';
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly resourceVersion?: string;
  };
  readonly webhooks?: readonly Webhook[];
}

/** Suffix of the names of injection webhooks. */
export const injectorSuffix = 'sidecar-injector.istio.io';

/** Suffix of the names of validation webhooks. */
export const validatorSuffix = 'validation.istio.io';

/** Label of the configurations of revision tags. */
export const tagLabel = 'istio.io/tag';

/** The configuration for the injection webhook of a revision. */
export function injectorConfiguration(options: RegistrationOptions): WebhookConfiguration {
  const revision = revisionOf(options);
  const suffix = revision === 'default' ? '' : `-${revision}`;
  const place = options.namespace === 'istio-system' ? '' : `-${options.namespace}`;
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: {
      name: `istio-sidecar-injector${suffix}${place}`,
      labels: { app: 'sidecar-injector', [revisionLabel]: revision },
    },
    webhooks: injectorWebhooks(revision, revision === 'default', options),
  };
}

/**
 * The configuration of a revision tag: namespaces that name the tag are served by the revision. The tag `default`
 * also takes the namespaces and pods that name no revision.
 */
export function tagConfiguration(tag: string, options: RegistrationOptions): WebhookConfiguration {
  const place = options.namespace === 'istio-system' ? '' : `-${options.namespace}`;
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: {
      name: `istio-revision-tag-${tag}${place}`,
      labels: { app: 'sidecar-injector', [revisionLabel]: revisionOf(options), [tagLabel]: tag },
    },
    webhooks: injectorWebhooks(tag, tag === 'default', options),
  };
}

/** The configuration for the validation webhook of a revision: objects that name the revision. */
export function validatorConfiguration(options: RegistrationOptions): WebhookConfiguration {
  const revision = revisionOf(options);
  const suffix = revision === 'default' ? '' : `-${revision}`;
  const selector = { matchExpressions: [isIn(revisionLabel, revision)] };
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: {
      name: `istio-validator${suffix}-${options.namespace}`,
      labels: { app: 'istiod', istio: 'istiod', [revisionLabel]: revision },
    },
    webhooks: [validatorWebhook(`rev.${validatorSuffix}`, selector, options)],
  };
}

/** The configuration of the default revision for objects that name none. */
export function defaultValidatorConfiguration(options: RegistrationOptions): WebhookConfiguration {
  const selector = { matchExpressions: [absent(revisionLabel)] };
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: {
      name: 'istiod-default-validator',
      labels: { app: 'istiod', istio: 'istiod', [revisionLabel]: revisionOf(options), [tagLabel]: 'default' },
    },
    webhooks: [validatorWebhook(validatorSuffix, selector, options)],
  };
}

function revisionOf(options: Pick<RegistrationOptions, 'revision'>): string {
  return options.revision === '' ? 'default' : options.revision;
}

const injectionLabel = 'istio-injection';
const podLabel = 'sidecar.istio.io/inject';

function injectorWebhooks(revision: string, isDefault: boolean, options: RegistrationOptions): readonly Webhook[] {
  const notOptedOut: LabelRequirement = { key: podLabel, operator: 'NotIn', values: ['false'] };
  const rev = isIn(revisionLabel, revision);
  const webhook = (prefix: string, namespace: readonly LabelRequirement[], object: readonly LabelRequirement[]) =>
    injectorWebhook(`${prefix}.${injectorSuffix}`, namespace, object, options);
  const byRevision = [
    webhook('rev.namespace', [rev, absent(injectionLabel)], [notOptedOut]),
    webhook('rev.object', [absent(revisionLabel), absent(injectionLabel)], [notOptedOut, rev]),
  ];
  if (!isDefault) return byRevision;
  const unlabelled = [absent(injectionLabel), absent(revisionLabel)];
  const system = ['kube-system', 'kube-public', 'kube-node-lease', 'local-path-storage'];
  const notSystem: LabelRequirement = { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: system };
  return [
    ...byRevision,
    webhook('namespace', [isIn(injectionLabel, 'enabled')], [notOptedOut]),
    webhook('object', unlabelled, [isIn(podLabel, 'true'), absent(revisionLabel)]),
    ...(options.enableNamespacesByDefault === true
      ? [webhook('auto', [...unlabelled, notSystem], [absent(podLabel), absent(revisionLabel)])]
      : []),
  ];
}

function injectorWebhook(
  name: string,
  namespace: readonly LabelRequirement[],
  object: readonly LabelRequirement[],
  options: RegistrationOptions,
): Webhook {
  return {
    name,
    clientConfig: clientConfigOf(options, options.injectPath ?? '/inject', 443),
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
    failurePolicy: 'Fail',
    namespaceSelector: { matchExpressions: namespace },
    objectSelector: { matchExpressions: object },
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    reinvocationPolicy: options.reinvocationPolicy ?? 'Never',
  };
}

// `Ignore` until the webhook is seen to answer; the controller then sets `Fail`.
function validatorWebhook(name: string, objectSelector: LabelSelector, options: RegistrationOptions): Webhook {
  return {
    name,
    clientConfig: clientConfigOf(options, '/validate'),
    rules: [
      {
        apiGroups: ['security.istio.io', 'networking.istio.io', 'telemetry.istio.io', 'extensions.istio.io'],
        apiVersions: ['*'],
        operations: ['CREATE', 'UPDATE'],
        resources: ['*'],
      },
    ],
    failurePolicy: 'Ignore',
    objectSelector,
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
  };
}

function clientConfigOf(options: RegistrationOptions, path: string, port?: number): Webhook['clientConfig'] {
  const { target, caPem } = options;
  const caBundle = caPem === undefined ? {} : { caBundle: base64(caPem) };
  if ('url' in target) return { url: `${target.url.replace(/\/$/, '')}${path}`, ...caBundle };
  const { service: name, namespace } = target;
  return { service: { name, namespace, path, ...(port === undefined ? {} : { port }) }, ...caBundle };
}

function isIn(key: string, value: string): LabelRequirement {
  return { key, operator: 'In', values: [value] };
}

function absent(key: string): LabelRequirement {
  return { key, operator: 'DoesNotExist' };
}

/** Base64 of UTF-8 text, as Kubernetes holds bytes. */
export function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
