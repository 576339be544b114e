// Keeps the webhook configurations true: our root in their caBundle, and failurePolicy Fail once we are seen to answer.
import { revisionLabel } from '../config/revision.ts';
import type { JsonObject } from './json.ts';
import { base64, injectorSuffix, validatorSuffix, type Webhook, type WebhookConfiguration } from './registration.ts';
import { labelsFor } from './selector.ts';
import { alwaysRejectAnnotation } from './validate.ts';

/** One operation of a JSON Patch with a guard that the webhook is still the one that was looked at. */
export type GuardedPatch = readonly {
  readonly op: 'test' | 'add' | 'replace';
  readonly path: string;
  readonly value: unknown;
}[];

/** What the controller needs of the API server; implemented by the Kubernetes source, and in memory for tests. */
export interface WebhookConfigurationApi {
  /**
   * Tells every configuration of the kind with these labels now, each again whenever it changes, and the name of each
   * that is gone, until disposed.
   */
  watch(
    kind: WebhookConfiguration['kind'],
    labels: Readonly<Record<string, string>>,
    changed: (configuration: WebhookConfiguration) => void,
    gone: (name: string) => void,
  ): AsyncDisposable;
  /** Applies a JSON Patch. `conflict`: a test of it failed. Throws where the API server cannot be asked. */
  patch(
    kind: WebhookConfiguration['kind'],
    name: string,
    patch: GuardedPatch,
  ): Promise<'patched' | 'conflict' | 'gone'>;
  /** Creates with dryRun=All; `deniedBy` names the admission webhook that refused it. Throws where it cannot be asked. */
  dryRunCreate(object: JsonObject): Promise<{ readonly deniedBy?: string }>;
}

type Kind = WebhookConfiguration['kind'];

/** Counters webhook_patch_{attempts,failures,retries}_total and galley_validation_config_{updates,update_error}. */
export interface RegistrationMetrics {
  patchAttempt(name: string): void;
  patchRetry(name: string): void;
  patched(kind: Kind, name: string): void;
  /** `Conflict`: somebody else changed it meanwhile; `Unreachable`: the API server did not answer, or refused it. */
  patchFailure(kind: Kind, name: string, reason: 'Conflict' | 'Unreachable'): void;
}

export interface RegistrationControllerOptions {
  readonly api: WebhookConfigurationApi;
  /** The control plane's revision; empty for `default`. */
  readonly revision: string;
  readonly namespace: string;
  /** The PEM roots that the API server is to check us by. */
  readonly caPem: string;
  /** Which kinds are kept; default: both. */
  readonly kinds?: Readonly<Record<WebhookConfiguration['kind'], boolean>>;
  readonly metrics: RegistrationMetrics;
  /** Fulfilled after so many milliseconds; rejected or fulfilled early when the signal aborts. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Told of failures that are retried. */
  readonly log?: (message: string) => void;
}

/** Operations that bring every webhook of ours in the configuration to this root; empty where nothing is to do. */
export function caBundlePatch(configuration: WebhookConfiguration, caPem: string): GuardedPatch {
  const caBundle = base64(caPem);
  return (configuration.webhooks ?? []).flatMap((webhook, i) => {
    if (!isOurs(webhook.name) || webhook.clientConfig.caBundle === caBundle) return [];
    return [
      { op: 'test', path: `/webhooks/${i}/name`, value: webhook.name },
      { op: 'add', path: `/webhooks/${i}/clientConfig/caBundle`, value: caBundle },
    ] as const;
  });
}

/** Validation webhooks of ours that do not yet refuse objects while we cannot be reached. */
function lenientWebhooks(configuration: WebhookConfiguration): readonly Webhook[] {
  if (configuration.kind !== 'ValidatingWebhookConfiguration') return [];
  return (configuration.webhooks ?? []).filter(
    (webhook) => isNamed(webhook.name, validatorSuffix) && webhook.failurePolicy !== 'Fail',
  );
}

/** Operations that make these webhooks of the configuration refuse objects while we cannot be reached. */
function failurePolicyPatch(configuration: WebhookConfiguration, webhooks: readonly Webhook[]): GuardedPatch {
  return (configuration.webhooks ?? []).flatMap((webhook, i) => {
    if (!webhooks.includes(webhook)) return [];
    return [
      { op: 'test', path: `/webhooks/${i}/name`, value: webhook.name },
      { op: 'replace', path: `/webhooks/${i}/failurePolicy`, value: 'Fail' },
    ] as const;
  });
}

function isOurs(name: string): boolean {
  return isNamed(name, injectorSuffix) || isNamed(name, validatorSuffix);
}

function isNamed(name: string, suffix: string): boolean {
  return name === suffix || name.endsWith(`.${suffix}`);
}

/** An object that only a working validation webhook refuses; `labels` are those by which that webhook is asked. */
export function probeGateway(namespace: string, labels: Readonly<Record<string, string>>): JsonObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'Gateway',
    metadata: { name: 'invalid-gateway', namespace, labels, annotations: { [alwaysRejectAnnotation]: 'true' } },
    spec: {},
  };
}

const kinds = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'] as const;

/** Patches configurations as they appear and change, until it is disposed. */
export class RegistrationController implements AsyncDisposable {
  readonly #options: RegistrationControllerOptions;
  readonly #revision: string;
  readonly #stop = new AbortController();
  readonly #watches: AsyncDisposable[] = [];
  readonly #latest = new Map<string, WebhookConfiguration>();
  /** Names with work waiting or under way: each is worked on by one loop at a time. */
  readonly #busy = new Map<string, Promise<void>>();
  /** What the log was told last about a configuration: the same is not said again. */
  readonly #told = new Map<string, string>();
  #caPem: string;
  /** Aborted, and made anew, when the roots change: what rests is looked at again. */
  #roots = new AbortController();

  constructor(options: RegistrationControllerOptions) {
    this.#options = options;
    this.#revision = options.revision === '' ? 'default' : options.revision;
    this.#caPem = options.caPem;
  }

  start(): void {
    for (const kind of kinds) {
      if (this.#options.kinds?.[kind] === false) continue;
      const labels = { [revisionLabel]: this.#revision };
      this.#watches.push(
        this.#options.api.watch(
          kind,
          labels,
          (configuration) => this.#seen(configuration),
          (name) => this.#forget(`${kind}/${name}`),
        ),
      );
    }
  }

  /** Another root is in force from now on. */
  setRoots(caPem: string): void {
    this.#caPem = caPem;
    this.#roots.abort();
    this.#roots = new AbortController();
    for (const configuration of this.#latest.values()) this.#seen(configuration);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#watches.map((watch) => watch[Symbol.asyncDispose]()));
    await Promise.all(this.#busy.values());
  }

  #seen(configuration: WebhookConfiguration): void {
    const key = `${configuration.kind}/${configuration.metadata.name}`;
    this.#latest.set(key, configuration);
    if (this.#stop.signal.aborted || this.#busy.has(key)) return;
    // Not at once: the work may itself make the configuration be seen again, before it counts as busy.
    const work = Promise.resolve(key)
      .then((one) => this.#settle(one))
      .finally(() => this.#busy.delete(key));
    this.#busy.set(key, work);
  }

  #forget(key: string): void {
    this.#latest.delete(key);
    this.#told.delete(key);
  }

  async #settle(key: string): Promise<void> {
    for (let failures = 0; !this.#stop.signal.aborted; ) {
      const configuration = this.#latest.get(key);
      if (configuration === undefined) return;
      const roots = this.#roots.signal;
      const outcome = await this.#step(configuration, failures > 0);
      const changed = roots.aborted || this.#latest.get(key) !== configuration;
      if (outcome === 'done' && !changed) return;
      failures = outcome === 'done' ? 0 : failures + 1;
      if (outcome === 'again') await this.#pause(Math.min(100 * 2 ** failures, 10_000), roots);
    }
  }

  async #pause(milliseconds: number, roots: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, roots]);
    await this.#options.sleep(milliseconds, signal).catch(() => undefined);
  }

  /** One attempt to bring a configuration to its state: `again` where it is to be looked at anew after a pause. */
  async #step(configuration: WebhookConfiguration, isRetry: boolean): Promise<'done' | 'again'> {
    const patch = caBundlePatch(configuration, this.#caPem);
    if (patch.length > 0) return (await this.#patch(configuration, patch, isRetry)) ? 'done' : 'again';
    const lenient = lenientWebhooks(configuration);
    if (lenient.length === 0) return 'done';
    const answering: Webhook[] = [];
    for (const webhook of lenient) if (await this.#isAnswering(configuration, webhook)) answering.push(webhook);
    const policy = failurePolicyPatch(configuration, answering);
    const isPatched = policy.length === 0 || (await this.#patch(configuration, policy, isRetry));
    return isPatched && answering.length === lenient.length ? 'done' : 'again';
  }

  /** Whether the API server has us refuse an object that this webhook is for. */
  async #isAnswering(configuration: WebhookConfiguration, webhook: Webhook): Promise<boolean> {
    const { api, namespace } = this.#options;
    const labels = labelsFor(webhook.objectSelector ?? {});
    if (labels === undefined) return this.#say(configuration, `webhook ${webhook.name} selects no object`);
    try {
      const { deniedBy } = await api.dryRunCreate(probeGateway(namespace, labels));
      if (deniedBy === webhook.name) return true;
      const what = deniedBy === undefined ? 'nobody refuses' : `${deniedBy} refuses`;
      return this.#say(configuration, `${what} the Gateway by which webhook ${webhook.name} is tried`);
    } catch (error) {
      return this.#say(configuration, `webhook ${webhook.name} could not be tried: ${messageOf(error)}`);
    }
  }

  async #patch(configuration: WebhookConfiguration, patch: GuardedPatch, isRetry: boolean): Promise<boolean> {
    const { api, metrics } = this.#options;
    const { kind, metadata } = configuration;
    const { name } = metadata;
    metrics.patchAttempt(name);
    if (isRetry) metrics.patchRetry(name);
    try {
      const outcome = await api.patch(kind, name, patch);
      if (outcome === 'gone') this.#forget(`${kind}/${name}`);
      if (outcome !== 'conflict') {
        this.#told.delete(`${kind}/${name}`);
        metrics.patched(kind, name);
        return true;
      }
      metrics.patchFailure(kind, name, 'Conflict');
    } catch (error) {
      metrics.patchFailure(kind, name, 'Unreachable');
      this.#say(configuration, `could not be patched: ${messageOf(error)}`);
    }
    return false;
  }

  /** Logs what is to be tried again, once while it stays the same. */
  #say({ kind, metadata }: WebhookConfiguration, problem: string): false {
    const key = `${kind}/${metadata.name}`;
    if (this.#told.get(key) !== problem) this.#options.log?.(`${kind} ${metadata.name}: ${problem}`);
    this.#told.set(key, problem);
    return false;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
