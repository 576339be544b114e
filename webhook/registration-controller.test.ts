// The registration's builders and its controller against an API server in memory that behaves like the real one.
import { applyPatch } from 'rfc6902';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from './json.ts';
import {
  base64,
  defaultValidatorConfiguration,
  injectorConfiguration,
  type RegistrationOptions,
  tagConfiguration,
  validatorConfiguration,
  type Webhook,
  type WebhookConfiguration,
} from './registration.ts';
import {
  caBundlePatch,
  type GuardedPatch,
  RegistrationController,
  type WebhookConfigurationApi,
} from './registration-controller.ts';
import { matches } from './selector.ts';

const options: RegistrationOptions = {
  target: { service: 'istiod', namespace: 'istio-system' },
  namespace: 'istio-system',
  revision: '',
};

const namesOf = (configuration: WebhookConfiguration) => configuration.webhooks?.map((webhook) => webhook.name);

describe('configurations', () => {
  test('of the default revision take labelled namespaces, labelled pods, and those of the revision', () => {
    const configuration = injectorConfiguration(options);
    expect(configuration.metadata.name).toBe('istio-sidecar-injector');
    expect(namesOf(configuration)).toEqual([
      'rev.namespace.sidecar-injector.istio.io',
      'rev.object.sidecar-injector.istio.io',
      'namespace.sidecar-injector.istio.io',
      'object.sidecar-injector.istio.io',
    ]);
  });

  test('of another revision and namespace take only their own', () => {
    const other = { ...options, revision: '1-32', namespace: 'mesh' };
    expect(injectorConfiguration(other).metadata.name).toBe('istio-sidecar-injector-1-32-mesh');
    expect(namesOf(injectorConfiguration(other))).toHaveLength(2);
    expect(validatorConfiguration(other).metadata.name).toBe('istio-validator-1-32-mesh');
  });

  test('of a tag select by the tag and belong to the revision', () => {
    const tag = tagConfiguration('prod', { ...options, revision: '1-32' });
    expect(tag.metadata).toMatchObject({ name: 'istio-revision-tag-prod', labels: { 'istio.io/rev': '1-32' } });
    expect(tag.webhooks?.[0]?.namespaceSelector?.matchExpressions?.[0]?.values).toEqual(['prod']);
    expect(namesOf(tagConfiguration('default', options))).toHaveLength(4);
  });

  test('for a control plane outside the cluster have a URL', () => {
    const remote = injectorConfiguration({
      ...options,
      target: { url: 'https://mesh.example.com:15017/' },
      injectPath: '/inject/cluster/west/net/n1',
      enableNamespacesByDefault: true,
    });
    expect(remote.webhooks?.[0]?.clientConfig.url).toBe('https://mesh.example.com:15017/inject/cluster/west/net/n1');
    expect(namesOf(remote)?.at(-1)).toBe('auto.sidecar-injector.istio.io');
  });
});

test('the root goes into our webhooks only, each guarded by its name', () => {
  const configuration = validatorConfiguration(options);
  const foreign = { name: 'other.example.com', clientConfig: {} };
  const mixed = { ...configuration, webhooks: [foreign, ...(configuration.webhooks ?? [])] };
  expect(caBundlePatch(mixed, 'PEM')).toEqual([
    { op: 'test', path: '/webhooks/1/name', value: 'rev.validation.istio.io' },
    { op: 'add', path: '/webhooks/1/clientConfig/caBundle', value: base64('PEM') },
  ]);
});

/** Webhook configurations in memory; objects are replaced at each change, as a watch shows them. */
class MemoryApi implements WebhookConfigurationApi {
  readonly objects = new Map<string, WebhookConfiguration>();
  readonly #watchers = new Set<(configuration: WebhookConfiguration) => void>();
  readonly #mourners = new Set<(name: string) => void>();
  /** How often dry runs are to succeed or fail to be asked, in this order; then validation answers. */
  readonly dryRuns: ('created' | 'unreachable')[] = [];
  conflicts = 0;
  patches = 0;
  onDryRun = (): void => undefined;

  put(configuration: WebhookConfiguration): void {
    this.objects.set(configuration.metadata.name, configuration);
    for (const watcher of this.#watchers) watcher(configuration);
  }

  remove(name: string): void {
    this.objects.delete(name);
    for (const mourner of this.#mourners) mourner(name);
  }

  watch(
    kind: WebhookConfiguration['kind'],
    labels: Readonly<Record<string, string>>,
    changed: (configuration: WebhookConfiguration) => void,
    gone: (name: string) => void,
  ): AsyncDisposable {
    this.#mourners.add(gone);
    const watcher = (configuration: WebhookConfiguration) => {
      const have = configuration.metadata.labels ?? {};
      const isMatch = Object.entries(labels).every(([key, value]) => have[key] === value);
      if (configuration.kind === kind && isMatch) changed(configuration);
    };
    this.#watchers.add(watcher);
    for (const configuration of this.objects.values()) watcher(configuration);
    return { [Symbol.asyncDispose]: async () => void this.#watchers.delete(watcher) };
  }

  async patch(_kind: string, name: string, patch: GuardedPatch): Promise<'patched' | 'conflict' | 'gone'> {
    this.patches++;
    const object = this.objects.get(name);
    if (object === undefined) return 'gone';
    if (this.conflicts > 0) {
      this.conflicts--;
      return 'conflict';
    }
    const next: WebhookConfiguration = structuredClone(object);
    applyPatch(next, patch as never);
    this.put(next);
    return 'patched';
  }

  /** As the API server: each webhook that selects the object is asked; ours refuse it. */
  async dryRunCreate(object: JsonObject): Promise<{ deniedBy?: string }> {
    expect(JSON.stringify(object)).toContain('internal.istio.io/webhook-always-reject');
    const outcome = this.dryRuns.shift();
    this.onDryRun();
    if (outcome === 'unreachable') throw new Error('connection refused');
    if (outcome === 'created') return {};
    const labels = (object['metadata'] as { labels: Record<string, string> }).labels;
    const webhooks = [...this.objects.values()].flatMap((configuration) => configuration.webhooks ?? []);
    const asked = webhooks.find(
      (webhook) => webhook.name.endsWith('validation.istio.io') && matches(webhook.objectSelector ?? {}, labels),
    );
    return asked === undefined ? {} : { deniedBy: asked.name };
  }
}

const metrics = { patchAttempt: () => {}, patchFailure: () => {}, patchRetry: () => {}, patched: () => {} };

function controllerOf(api: MemoryApi, log: (message: string) => void = () => {}, restMs = 1): RegistrationController {
  const sleep = (_ms: number, signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      if (signal.aborted) return resolve();
      const timer = setTimeout(resolve, restMs);
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  return new RegistrationController({
    api,
    revision: '',
    namespace: 'istio-system',
    caPem: 'ROOT',
    metrics,
    sleep,
    log,
  });
}

const bundlesOf = (api: MemoryApi, name: string) =>
  api.objects.get(name)?.webhooks?.map((webhook) => webhook.clientConfig.caBundle);
const policyOf = (api: MemoryApi, name: string) => api.objects.get(name)?.webhooks?.[0]?.failurePolicy;

describe('controller', () => {
  test('patches the root, and sets Fail only once an unsound object is denied', async () => {
    const api = new MemoryApi();
    api.put(injectorConfiguration(options));
    api.put(validatorConfiguration(options));
    api.dryRuns.push('unreachable', 'created', 'created');
    await using controller = controllerOf(api);
    controller.start();
    const name = 'istio-validator-istio-system';
    await expect.poll(() => bundlesOf(api, name)).toEqual([base64('ROOT')]);
    await expect.poll(() => policyOf(api, name)).toBe('Fail');
    expect(api.dryRuns).toEqual([]);
    expect(new Set(bundlesOf(api, 'istio-sidecar-injector'))).toEqual(new Set([base64('ROOT')]));
  });

  test('keeps Ignore while objects that ask to be refused are created', async () => {
    const api = new MemoryApi();
    api.put(validatorConfiguration(options));
    api.dryRuns.push(...Array.from({ length: 10_000 }, () => 'created' as const));
    const logged: string[] = [];
    await using controller = controllerOf(api, (message) => logged.push(message));
    controller.start();
    await expect.poll(() => api.dryRuns.length < 9_995).toBe(true);
    expect(logged).toEqual([
      'ValidatingWebhookConfiguration istio-validator-istio-system: nobody refuses the Gateway by which webhook rev.validation.istio.io is tried',
    ]);
    expect(policyOf(api, 'istio-validator-istio-system')).toBe('Ignore');
  });

  test('restores what others change, takes a new root, tags and late comers, and retries conflicts', async () => {
    const api = new MemoryApi();
    const injector = injectorConfiguration(options);
    api.put(injector);
    api.conflicts = 2;
    await using controller = controllerOf(api);
    controller.start();
    await expect.poll(() => bundlesOf(api, injector.metadata.name)?.[0]).toBe(base64('ROOT'));
    api.put(injector);
    api.put(tagConfiguration('prod', options));
    await expect.poll(() => bundlesOf(api, injector.metadata.name)?.[3]).toBe(base64('ROOT'));
    await expect.poll(() => bundlesOf(api, 'istio-revision-tag-prod')?.[0]).toBe(base64('ROOT'));
    controller.setRoots('NEXT');
    await expect.poll(() => bundlesOf(api, injector.metadata.name)?.[0]).toBe(base64('NEXT'));
  });

  test('takes a new root at once, also while it tries and while it rests before it tries again', async () => {
    const api = new MemoryApi();
    api.put(validatorConfiguration(options));
    api.dryRuns.push('created', 'created', 'created', 'created');
    await using controller = controllerOf(api, undefined, 3_600_000);
    api.onDryRun = () => {
      if (api.dryRuns.length === 2) controller.setRoots('WHILE TRYING');
    };
    controller.start();
    const bundles = () => bundlesOf(api, 'istio-validator-istio-system');
    await expect.poll(() => api.dryRuns.length).toBe(3);
    controller.setRoots('WHILE RESTING');
    await expect.poll(bundles).toEqual([base64('WHILE TRYING')]);
    await expect.poll(() => api.dryRuns.length).toBe(1);
    controller.setRoots('AT LAST');
    await expect.poll(bundles).toEqual([base64('AT LAST')]);
  });

  test('tries each configuration by an object that it is for', async () => {
    const api = new MemoryApi();
    api.put(defaultValidatorConfiguration(options));
    await using controller = controllerOf(api);
    controller.start();
    await expect.poll(() => policyOf(api, 'istiod-default-validator')).toBe('Fail');
    api.put(validatorConfiguration(options));
    await expect.poll(() => policyOf(api, 'istio-validator-istio-system')).toBe('Fail');
  });

  test('leaves Ignore to a webhook that selects no object, or that another one answers for', async () => {
    const api = new MemoryApi();
    const { webhooks, ...rest } = validatorConfiguration(options);
    const nothing = { matchExpressions: [{ key: 'a', operator: 'In', values: [] }] };
    api.put({ ...rest, webhooks: (webhooks ?? []).map((webhook) => ({ ...webhook, objectSelector: nothing })) });
    const all = defaultValidatorConfiguration(options);
    const others = { ...all.metadata, name: 'other', labels: {} };
    api.put({
      ...all,
      metadata: others,
      webhooks: [{ ...(all.webhooks?.[0] as Webhook), name: 'x.validation.istio.io' }],
    });
    api.put(all);
    const logged: string[] = [];
    await using controller = controllerOf(api, (message) => logged.push(message));
    controller.start();
    await expect.poll(() => logged.length).toBe(2);
    expect(logged.join()).toContain('webhook rev.validation.istio.io selects no object');
    expect(logged.join()).toContain('x.validation.istio.io refuses the Gateway by which webhook validation.istio.io');
    expect(policyOf(api, 'istiod-default-validator')).toBe('Ignore');
    expect(policyOf(api, 'istio-validator-istio-system')).toBe('Ignore');
  });

  test('forgets what is gone, also while it is being tried', async () => {
    const api = new MemoryApi();
    api.put(injectorConfiguration(options));
    api.put(validatorConfiguration(options));
    api.dryRuns.push(...Array.from({ length: 100_000 }, () => 'created' as const));
    await using controller = controllerOf(api);
    controller.start();
    await expect.poll(() => api.dryRuns.length < 99_995).toBe(true);
    for (const name of [...api.objects.keys()]) api.remove(name);
    const { patches } = api;
    controller.setRoots('NEXT');
    const left = api.dryRuns.length;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(api.patches).toBe(patches);
    expect(left - api.dryRuns.length).toBeLessThanOrEqual(1);
  });

  test('leaves alone what is as it should be, and other revisions', async () => {
    const api = new MemoryApi();
    api.put(injectorConfiguration({ ...options, caPem: 'ROOT' }));
    api.put(injectorConfiguration({ ...options, revision: 'canary' }));
    api.put(defaultValidatorConfiguration({ ...options, caPem: 'ROOT' }));
    await using controller = controllerOf(api);
    controller.start();
    await expect.poll(() => policyOf(api, 'istiod-default-validator')).toBe('Fail');
    expect(api.patches).toBe(1);
    expect(bundlesOf(api, 'istio-sidecar-injector-canary')).toEqual([undefined, undefined]);
  });
});
