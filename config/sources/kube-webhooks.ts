// Webhook configurations of a Kubernetes API server: followed, patched, and tried by dry runs.
import { type ReflectorOptions, reflect } from './reflector.ts';

/** A MutatingWebhookConfiguration or ValidatingWebhookConfiguration, as far as its name. */
export interface WebhookObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly resourceVersion?: string };
}

/** What following needs from outside. */
export interface KubeWebhooksOptions<T extends WebhookObject>
  extends Pick<ReflectorOptions, 'api' | 'sleep' | 'random'> {
  /** Told why the configurations of a kind cannot be followed, and with an empty text when they can be again. */
  readonly outOfTouch: (kind: T['kind'], message: string) => void;
}

const group = '/apis/admissionregistration.k8s.io/v1';
const plurals: Readonly<Record<string, string>> = {
  MutatingWebhookConfiguration: 'mutatingwebhookconfigurations',
  ValidatingWebhookConfiguration: 'validatingwebhookconfigurations',
};

/** The operations that a registration controller needs (webhook/registration-controller.ts has their contract). */
export function kubeWebhooks<T extends WebhookObject>(options: KubeWebhooksOptions<T>) {
  const { api } = options;
  return {
    watch: (
      kind: T['kind'],
      labels: Readonly<Record<string, string>>,
      changed: (object: T) => void,
      gone: (name: string) => void,
    ): AsyncDisposable => {
      const stop = new AbortController();
      const labelSelector = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
      const running = reflect(
        { ...options, paths: [`${group}/${plurals[kind]}`], builtin: true, labelSelector: labelSelector.join(',') },
        {
          changed: (raw) => changed({ ...(raw as T), kind }),
          gone: (key) => gone(key.slice(key.indexOf('/') + 1)),
          flush: () => undefined,
          status: ({ connected, message }) => options.outOfTouch(kind, connected ? '' : message),
        },
        stop.signal,
      );
      return {
        [Symbol.asyncDispose]: async () => {
          stop.abort();
          await running;
        },
      };
    },
    patch: async (
      kind: T['kind'],
      name: string,
      patch: readonly unknown[],
    ): Promise<'patched' | 'conflict' | 'gone'> => {
      const path = `${group}/${plurals[kind]}/${encodeURIComponent(name)}`;
      const { status, body } = await api.send('PATCH', path, patch, 'application/json-patch+json');
      if (status === 200) return 'patched';
      if (status === 404) return 'gone';
      // A test of the patch that fails is an invalid patch to the API server.
      if (status === 409 || status === 422) return 'conflict';
      throw new Error(`${path}: ${status} ${messageOf(body)}`);
    },
    dryRunCreate: async (object: { readonly [key: string]: unknown }): Promise<{ readonly deniedBy?: string }> => {
      const namespace = (object['metadata'] as { readonly namespace?: string } | undefined)?.namespace ?? 'default';
      const path = `/apis/networking.istio.io/v1/namespaces/${encodeURIComponent(namespace)}/gateways?dryRun=All`;
      const { status, body } = await api.send('POST', path, object);
      if (status === 201 || status === 200) return {};
      const deniedBy = /^admission webhook "([^"]+)" denied the request/.exec(messageOf(body))?.[1];
      if (deniedBy !== undefined) return { deniedBy };
      throw new Error(`${path}: ${status} ${messageOf(body)}`);
    },
  };
}

function messageOf(body: unknown): string {
  const message = typeof body === 'object' && body !== null ? (body as { message?: unknown }).message : undefined;
  return typeof message === 'string' ? message : '';
}
