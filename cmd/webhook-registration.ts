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
  const controller = new RegistrationController({
    api: kubeWebhooks<WebhookConfiguration>(options.api, (message) => log.warn(`webhook configurations: ${message}`)),
    revision: options.revision,
    namespace: options.systemNamespace,
    caPem: roots.current(),
    kinds: options.kinds,
    metrics: registrationMetrics(options.registry),
    sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }).then(() => undefined),
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

function registrationMetrics(registry: Registry): RegistrationMetrics {
  const counter = (name: string, help: string) =>
    new Counter({ name, help, labelNames: ['name'], registers: [registry] });
  const attempts = counter('webhook_patch_attempts_total', 'Attempts to patch a webhook configuration.');
  const failures = counter('webhook_patch_failures_total', 'Attempts that failed.');
  const retries = counter('webhook_patch_retries_total', 'Attempts after one that failed.');
  return {
    patchAttempt: (name) => attempts.inc({ name }),
    patchFailure: (name) => failures.inc({ name }),
    patchRetry: (name) => retries.inc({ name }),
  };
}
