// Webhook configurations of a Kubernetes API server: watched, patched, and tried by dry runs.
import type { KubeApi } from './kube-api.ts';

/** A MutatingWebhookConfiguration or ValidatingWebhookConfiguration, as far as its name. */
export interface WebhookObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly resourceVersion?: string };
}

const group = '/apis/admissionregistration.k8s.io/v1';
const plurals: Readonly<Record<string, string>> = {
  MutatingWebhookConfiguration: 'mutatingwebhookconfigurations',
  ValidatingWebhookConfiguration: 'validatingwebhookconfigurations',
};

/** Milliseconds between attempts to list and watch again. */
const pause = 1_000;

/**
 * The operations that a registration controller needs (webhook/registration-controller.ts has their contract).
 * `failed` is told why a watch broke; it is taken up again by itself.
 */
export function kubeWebhooks<T extends WebhookObject>(api: KubeApi, failed: (message: string) => void) {
  return {
    watch: (
      kind: T['kind'],
      labels: Readonly<Record<string, string>>,
      changed: (object: T) => void,
    ): AsyncDisposable => {
      const stop = new AbortController();
      const running = follow(
        api,
        pathOf(kind, labels),
        stop.signal,
        (object) => changed({ ...object, kind } as T),
        failed,
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
    dryRunCreate: async (object: { readonly [key: string]: unknown }): Promise<'created' | 'denied'> => {
      const namespace = (object['metadata'] as { readonly namespace?: string } | undefined)?.namespace ?? 'default';
      const path = `/apis/networking.istio.io/v1/namespaces/${encodeURIComponent(namespace)}/gateways?dryRun=All`;
      const { status, body } = await api.send('POST', path, object);
      if (status === 201 || status === 200) return 'created';
      if (messageOf(body).includes('denied the request')) return 'denied';
      throw new Error(`${path}: ${status} ${messageOf(body)}`);
    },
  };
}

function pathOf(kind: string, labels: Readonly<Record<string, string>>): string {
  const selector = Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  return `${group}/${plurals[kind]}?labelSelector=${encodeURIComponent(selector)}`;
}

/** Lists and watches until the signal aborts; whatever breaks, it starts over after a pause. */
async function follow(
  api: KubeApi,
  path: string,
  signal: AbortSignal,
  changed: (object: WebhookObject) => void,
  failed: (message: string) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await listAndWatch(api, path, signal, changed);
    } catch (error) {
      if (!signal.aborted) failed(error instanceof Error ? error.message : String(error));
    }
    if (!signal.aborted) await sleep(pause, signal);
  }
}

async function listAndWatch(
  api: KubeApi,
  path: string,
  signal: AbortSignal,
  changed: (object: WebhookObject) => void,
): Promise<void> {
  const { status, body } = await api.send('GET', path);
  if (status !== 200) throw new Error(`${path}: ${status} ${messageOf(body)}`);
  const list = body as {
    readonly items?: readonly WebhookObject[];
    readonly metadata?: { readonly resourceVersion?: string };
  };
  for (const item of list.items ?? []) changed(item);
  const version = list.metadata?.resourceVersion ?? '';
  const watch = `${path}&watch=1&timeoutSeconds=300&resourceVersion=${encodeURIComponent(version)}`;
  const ended = new AbortController();
  const end = await api.watch(
    watch,
    (events) => {
      for (const { type, object } of events) {
        if (type === 'ERROR') ended.abort();
        else if (type === 'ADDED' || type === 'MODIFIED') changed(object as WebhookObject);
      }
    },
    AbortSignal.any([signal, ended.signal]),
    330_000,
  );
  if (end.status !== 200) throw new Error(`${path}: ${end.status} ${end.message}`);
}

function messageOf(body: unknown): string {
  const message = typeof body === 'object' && body !== null ? (body as { message?: unknown }).message : undefined;
  return typeof message === 'string' ? message : '';
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
