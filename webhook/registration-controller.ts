// Keeps the webhook configurations true: our root in their caBundle, and failurePolicy Fail once we are seen to answer.
import type { JsonObject } from './json.ts';
import { base64, injectorSuffix, revisionLabel, validatorSuffix, type WebhookConfiguration } from './registration.ts';
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
   * Tells every configuration of the kind with these labels now and each again whenever it changes, until disposed.
   * Deletions are not told: there is nothing to keep.
   */
  watch(
    kind: WebhookConfiguration['kind'],
    labels: Readonly<Record<string, string>>,
    changed: (configuration: WebhookConfiguration) => void,
  ): AsyncDisposable;
  /** Applies a JSON Patch. `conflict`: a test of it failed. Throws where the API server cannot be asked. */
  patch(
    kind: WebhookConfiguration['kind'],
    name: string,
    patch: GuardedPatch,
  ): Promise<'patched' | 'conflict' | 'gone'>;
  /** Creates with dryRun=All. `denied`: an admission webhook refused it. Throws where it cannot be asked. */
  dryRunCreate(object: JsonObject): Promise<'created' | 'denied'>;
}

/** Counters webhook_patch_{attempts,failures,retries}_total, by the configuration's name. */
export interface RegistrationMetrics {
  patchAttempt(name: string): void;
  patchFailure(name: string): void;
  patchRetry(name: string): void;
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

/** Operations that make validation webhooks of ours refuse objects while we cannot be reached. */
export function failurePolicyPatch(configuration: WebhookConfiguration): GuardedPatch {
  return (configuration.webhooks ?? []).flatMap((webhook, i) => {
    if (!isNamed(webhook.name, validatorSuffix) || webhook.failurePolicy === 'Fail') return [];
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

/** An object that only a working validation webhook refuses. */
export function probeGateway(namespace: string, revision: string): JsonObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'Gateway',
    metadata: {
      name: 'invalid-gateway',
      namespace,
      labels: { [revisionLabel]: revision },
      annotations: { [alwaysRejectAnnotation]: 'true' },
    },
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
  #caPem: string;
  #answers = false;

  constructor(options: RegistrationControllerOptions) {
    this.#options = options;
    this.#revision = options.revision === '' ? 'default' : options.revision;
    this.#caPem = options.caPem;
  }

  start(): void {
    for (const kind of kinds) {
      if (this.#options.kinds?.[kind] === false) continue;
      const labels = { [revisionLabel]: this.#revision };
      this.#watches.push(this.#options.api.watch(kind, labels, (configuration) => this.#seen(configuration)));
    }
  }

  /** Another root is in force from now on. */
  setRoots(caPem: string): void {
    this.#caPem = caPem;
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
    const work = this.#settle(key).finally(() => this.#busy.delete(key));
    this.#busy.set(key, work);
  }

  async #settle(key: string): Promise<void> {
    for (let failures = 0; !this.#stop.signal.aborted; ) {
      const configuration = this.#latest.get(key);
      if (configuration === undefined) return;
      const outcome = await this.#step(configuration, failures > 0);
      const changed = this.#latest.get(key) !== configuration;
      if (outcome === 'done' && !changed) return;
      failures = outcome === 'done' ? 0 : failures + 1;
      if (outcome === 'again') await this.#pause(Math.min(100 * 2 ** failures, 10_000));
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    await this.#options.sleep(milliseconds, this.#stop.signal).catch(() => undefined);
  }

  /** One attempt to bring a configuration to its state: `again` where it is to be looked at anew after a pause. */
  async #step(configuration: WebhookConfiguration, isRetry: boolean): Promise<'done' | 'again'> {
    const patch = caBundlePatch(configuration, this.#caPem);
    if (patch.length > 0) return (await this.#patch(configuration, patch, isRetry)) ? 'done' : 'again';
    if (configuration.kind !== 'ValidatingWebhookConfiguration') return 'done';
    const policy = failurePolicyPatch(configuration);
    if (policy.length === 0) return 'done';
    if (!(await this.#isAnswering())) return 'again';
    return (await this.#patch(configuration, policy, isRetry)) ? 'done' : 'again';
  }

  async #isAnswering(): Promise<boolean> {
    if (this.#answers) return true;
    const { api, namespace, log } = this.#options;
    try {
      this.#answers = (await api.dryRunCreate(probeGateway(namespace, this.#revision))) === 'denied';
    } catch (error) {
      log?.(`the validation webhook could not be tried: ${messageOf(error)}`);
    }
    return this.#answers;
  }

  async #patch(configuration: WebhookConfiguration, patch: GuardedPatch, isRetry: boolean): Promise<boolean> {
    const { api, metrics, log } = this.#options;
    const { name } = configuration.metadata;
    metrics.patchAttempt(name);
    if (isRetry) metrics.patchRetry(name);
    try {
      const outcome = await api.patch(configuration.kind, name, patch);
      if (outcome === 'gone') this.#latest.delete(`${configuration.kind}/${name}`);
      if (outcome !== 'conflict') return true;
    } catch (error) {
      log?.(`${configuration.kind} ${name} could not be patched: ${messageOf(error)}`);
    }
    metrics.patchFailure(name);
    return false;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
