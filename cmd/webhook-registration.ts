// Keeps a cluster's webhook configurations pointing at this control plane, and counts what that takes.
import { setTimeout as sleep } from 'node:timers/promises';
import { Counter, type Registry } from 'prom-client';
import type { KubeApi } from '../config/sources/kube-api.ts';
import { kubeWebhooks } from '../config/sources/kube-webhooks.ts';
import type { WebhookConfiguration } from '../webhook/registration.ts';
import { RegistrationController, type RegistrationMetrics } from '../webhook/registration-controller.ts';
import type { Logger } from './log.ts';

export interface WebhookRegistrationOptions {
  readonly api: KubeApi;
  readonly revision: string;
  readonly systemNamespace: string;
  /** The PEM roots by which the API server is to check us, and when they change. */
  readonly roots: { readonly current: () => string; readonly onChange: (listener: () => void) => () => void };
  /** Which of them are patched. */
  readonly kinds: Readonly<Record<WebhookConfiguration['kind'], boolean>>;
  readonly registry: Registry;
  readonly log: Logger;
}

/** Starts to keep them; call it once the webhooks' port is open. */
export function keepWebhooksRegistered(options: WebhookRegistrationOptions): AsyncDisposable {
  const { roots, log } = options;
  // Without a certificate there is nothing by which the API server could check us.
  if (roots.current() === '') return { [Symbol.asyncDispose]: async () => undefined };
  const count = registrationMetrics(options.registry);
  const told = new Map<string, string>();
  const wait = (milliseconds: number, signal: AbortSignal) =>
    sleep(milliseconds, undefined, { signal }).then(() => undefined);
  const controller = new RegistrationController({
    api: kubeWebhooks<WebhookConfiguration>({
      api: options.api,
      sleep: wait,
      random: Math.random,
      outOfTouch: (kind, message) => {
        if (message !== '') count.loadError(kind, message);
        if (message === (told.get(kind) ?? '')) return;
        told.set(kind, message);
        if (message === '') log.info(`${kind}s are followed again`);
        else log.warn(`${kind}s cannot be followed for now: ${message}`);
      },
    }),
    revision: options.revision,
    namespace: options.systemNamespace,
    caPem: roots.current(),
    kinds: options.kinds,
    metrics: count,
    sleep: wait,
    log: (message) => log.warn(message),
  });
  controller.start();
  const unfollow = roots.onChange(() => controller.setRoots(roots.current()));
  return {
    async [Symbol.asyncDispose]() {
      unfollow();
      await controller[Symbol.asyncDispose]();
    },
  };
}

/** What is counted; galley's names are about the validating configurations only. */
interface RegistrationCounters extends RegistrationMetrics {
  loadError(kind: WebhookConfiguration['kind'], message: string): void;
}

function registrationMetrics(registry: Registry): RegistrationCounters {
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name, help, labelNames: [...labelNames], registers: [registry] });
  const named = (name: string, help: string) => counter(name, help, ['name']);
  const attempts = named('webhook_patch_attempts_total', 'Attempts to patch a webhook configuration.');
  const failures = named('webhook_patch_failures_total', 'Attempts that failed.');
  const retries = named('webhook_patch_retries_total', 'Attempts after one that failed.');
  const updates = named('galley_validation_config_updates', 'Changes made to validating webhook configurations.');
  const updateError = counter('galley_validation_config_update_error', 'Changes that failed.', ['name', 'reason']);
  const loadError = counter('galley_validation_config_load_error', 'Failures to read validating configurations.', [
    'reason',
  ]);
  const isValidating = (kind: WebhookConfiguration['kind']) => kind === 'ValidatingWebhookConfiguration';
  return {
    patchAttempt: (name) => attempts.inc({ name }),
    patchRetry: (name) => retries.inc({ name }),
    patched: (kind, name) => {
      if (isValidating(kind)) updates.inc({ name });
    },
    patchFailure: (kind, name, reason) => {
      failures.inc({ name });
      if (isValidating(kind)) updateError.inc({ name, reason });
    },
    loadError: (kind, message) => {
      if (isValidating(kind)) loadError.inc({ reason: /^\d{3}\b/.exec(message)?.[0] ?? 'Unreachable' });
    },
  };
}
