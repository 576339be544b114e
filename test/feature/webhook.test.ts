// The webhooks called by a real API server over TLS: injected pods, refused objects, rotation, and what a standstill does.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLogger } from '../../cmd/log.ts';
import { keepWebhooksRegistered } from '../../cmd/webhook-registration.ts';
import { type KubeApi, openKubeApi } from '../../config/sources/kube-api.ts';
import { kubeconfigAccess } from '../../config/sources/kube-config.ts';
import { validateObject } from '../../config/validate.ts';
import { noMetrics } from '../../webhook/metrics.ts';
import {
  injectorConfiguration,
  type RegistrationOptions,
  tagConfiguration,
  validatorConfiguration,
  type WebhookConfiguration,
} from '../../webhook/registration.ts';
import { startWebhookServer, type WebhookServer } from '../../webhook/server.ts';
import { installCrds } from '../conformance/crd-verdicts.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { leastPrivilege } from '../support/kubernetes-plane.ts';
import { freePort } from '../support/ports.ts';
import { emptyCluster, selfSigned, testSettings } from '../support/webhook.ts';

const root = join(import.meta.dirname, '..', '..');
const run = promisify(execFile);

let api: TestApiServer;
let port: number;
let certificate: ReturnType<typeof selfSigned>;
let server: WebhookServer | undefined;
let registration: AsyncDisposable;
let kubeApi: KubeApi;
let roots: string;
let rootsChanged: () => void = () => undefined;
const registry = new Registry();
let options: RegistrationOptions;

async function startWebhook(): Promise<void> {
  server = await startWebhookServer({
    host: '127.0.0.1',
    port,
    certificate,
    settings: () => testSettings(),
    cluster: emptyCluster,
    validators: {
      object: (raw) => validateObject(raw, { unknown: 'ignore' }),
      amongOthers: () => [{ code: 'invalid-reference', severity: 'warning', message: 'no such gateway' }],
    },
    metrics: noMetrics,
    now: () => performance.now() / 1_000,
  });
}

beforeAll(async () => {
  api = await startApiServer({ controllerManager: true });
  await installCrds(api.client);
  await api.client.apply(namespaceOf('istio-system'));
  port = await freePort();
  certificate = selfSigned('127.0.0.1');
  roots = certificate.cert;
  options = { target: { url: `https://127.0.0.1:${port}` }, namespace: 'istio-system', revision: '' };
  for (const configuration of [injectorConfiguration(options), validatorConfiguration(options)]) {
    await api.client.create(configuration as unknown as KubeObject);
  }
  await api.client.create(tagConfiguration('prod', options) as unknown as KubeObject);
  kubeApi = openKubeApi(await kubeconfigAccess(await leastPrivilege(api)));
  registration = keepWebhooksRegistered({
    api: kubeApi,
    revision: '',
    systemNamespace: 'istio-system',
    roots: {
      current: () => roots,
      onChange: (listener) => {
        rootsChanged = listener;
        return () => undefined;
      },
    },
    kinds: { MutatingWebhookConfiguration: true, ValidatingWebhookConfiguration: true },
    registry,
    log: createLogger('silent'),
  });
}, 600_000);

afterAll(async () => {
  await registration?.[Symbol.asyncDispose]();
  kubeApi?.[Symbol.dispose]();
  await server?.close();
  await api?.stop();
});

function namespaceOf(name: string, labels: Record<string, string> = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

function deploymentOf(namespace: string, labels: Record<string, string> = {}): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web', ...labels } },
        spec: { containers: [{ name: 'web', image: 'x:1', ports: [{ containerPort: 80 }] }] },
      },
    },
  };
}

/** A VirtualService that the CRD's schema takes whatever the expression; only the webhook can read it. */
const virtualService = (name: string, regex = '/a.*'): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name, namespace: 'default', labels: { 'istio.io/rev': 'default' } },
  spec: {
    hosts: ['a.example.com'],
    http: [{ match: [{ uri: { regex } }], route: [{ destination: { host: 'a' } }] }],
  },
});

const validator = 'istio-validator-istio-system';

async function stored(kind: WebhookConfiguration['kind'], name: string): Promise<WebhookConfiguration> {
  const object = { apiVersion: 'admissionregistration.k8s.io/v1', kind, metadata: { name } };
  return (await api.client.get(object)) as unknown as WebhookConfiguration;
}

const bundle = async () =>
  (await stored('ValidatingWebhookConfiguration', validator)).webhooks?.[0]?.clientConfig.caBundle;
const failurePolicy = async () =>
  (await stored('ValidatingWebhookConfiguration', validator)).webhooks?.[0]?.failurePolicy;

/** Names of the containers of a namespace's two pods, once the controllers have made them. */
async function containersIn(namespace: string): Promise<readonly string[]> {
  const list = () => api.client.list(`/api/v1/namespaces/${namespace}/pods`);
  await expect.poll(async () => (await list()).length, { timeout: 30_000 }).toBe(2);
  const pods = await list();
  return pods.flatMap((pod) => {
    const { containers } = pod['spec'] as { containers: readonly { name: string }[] };
    return containers.map((container) => container.name);
  });
}

describe('before the webhook answers', () => {
  test('the root is in place and validation lets everything pass', async () => {
    await expect
      .poll(
        async () =>
          (await stored('MutatingWebhookConfiguration', 'istio-sidecar-injector')).webhooks?.[0]?.clientConfig.caBundle,
      )
      .toBe(Buffer.from(certificate.cert).toString('base64'));
    expect(await failurePolicy()).toBe('Ignore');
    await expect(api.client.create(virtualService('early', '['))).resolves.toBeDefined();
  });
});

describe('while it answers', () => {
  beforeAll(startWebhook);

  test('failurePolicy becomes Fail', async () => {
    await expect.poll(failurePolicy, { timeout: 30_000 }).toBe('Fail');
  });

  test.each<[string, Record<string, string>, Record<string, string>, readonly string[]]>([
    ['labelled', { 'istio-injection': 'enabled' }, {}, ['web', 'istio-proxy', 'web', 'istio-proxy']],
    ['disabled', { 'istio-injection': 'disabled' }, {}, ['web', 'web']],
    ['silent', {}, {}, ['web', 'web']],
    ['tagged', { 'istio.io/rev': 'prod' }, {}, ['web', 'istio-proxy', 'web', 'istio-proxy']],
    ['foreign', { 'istio.io/rev': 'other' }, {}, ['web', 'web']],
    ['pod-label', {}, { 'sidecar.istio.io/inject': 'true' }, ['web', 'istio-proxy', 'web', 'istio-proxy']],
    ['opt-out', { 'istio-injection': 'enabled' }, { 'sidecar.istio.io/inject': 'false' }, ['web', 'web']],
  ])('pods of a Deployment in a %s namespace', async (name, namespaceLabels, podLabels, containers) => {
    await api.client.apply(namespaceOf(name, namespaceLabels));
    await api.client.create(deploymentOf(name, podLabels));
    expect(await containersIn(name)).toEqual(containers);
  });

  test('the API server accepts every kind of injected pod as it is', async () => {
    const templates = ['sidecar', 'gateway', 'grpc-agent', 'grpc-simple', 'waypoint'];
    for (const [i, template] of [...templates, 'envoy'].entries()) {
      const annotations =
        template === 'envoy' ? { 'meltemi.io/proxy': 'envoy' } : { 'inject.istio.io/templates': template };
      const pod: KubeObject = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: `kind-${i}`, namespace: 'labelled', annotations },
        spec: { containers: [{ name: 'web', image: 'x:1' }] },
      };
      const created = await api.client.create(pod);
      expect(JSON.stringify(created.metadata['annotations']), template).toContain('revision\\":\\"default');
    }
  });

  test('a pod that asks for nonsense is refused with the annotation', async () => {
    const annotations = { 'sidecar.istio.io/interceptionMode': 'MAGIC' };
    const pod: KubeObject = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'nonsense', namespace: 'labelled', annotations },
      spec: { containers: [{ name: 'web', image: 'x:1' }] },
    };
    await expect(api.client.create(pod)).rejects.toThrow(/namespace\.sidecar-injector.*interceptionMode/s);
  });

  test('an unsound VirtualService is refused with the reason, a sound one and deletion pass', async () => {
    const refusal = /"rev\.validation\.istio\.io" denied the request: configuration is invalid: .*regex/;
    await expect(api.client.create(virtualService('bad', '['))).rejects.toThrow(refusal);
    await expect(api.client.create(virtualService('good'))).resolves.toBeDefined();
    await api.client.delete(virtualService('good'));
    await api.client.delete(virtualService('early'));
  });

  test('another root and certificate refuse no call', async () => {
    const next = selfSigned('127.0.0.1');
    roots = `${certificate.cert}${next.cert}`;
    rootsChanged();
    const both = Buffer.from(roots).toString('base64');
    await expect.poll(bundle).toBe(both);
    // Calls go on all the time: first with the old certificate, then with the new one, by which alone the API server is to
    // check us in the end.
    let calls = 0;
    let isDone = false;
    const caller = async (): Promise<void> => {
      while (!isDone) await api.client.create(virtualService(`rotate-${calls++}`), { dryRun: true });
    };
    const callers = Promise.all(Array.from({ length: 8 }, caller));
    const more = async (count: number): Promise<void> => {
      const from = calls;
      await Promise.race([callers, expect.poll(() => calls - from, { timeout: 30_000 }).toBeGreaterThan(count)]);
    };
    await more(50);
    server?.rotate(next);
    await more(100);
    roots = next.cert;
    rootsChanged();
    await expect.poll(bundle).toBe(Buffer.from(roots).toString('base64'));
    await more(100);
    isDone = true;
    await callers;
    certificate = next;
  });

  test('what others undo is done again', async () => {
    const configuration = await stored('ValidatingWebhookConfiguration', validator);
    const before = configuration.webhooks?.[0]?.clientConfig.caBundle;
    const webhooks = configuration.webhooks?.map(({ clientConfig: { caBundle: _, ...rest }, ...webhook }) => ({
      ...webhook,
      failurePolicy: 'Ignore',
      clientConfig: rest,
    }));
    await api.client.merge(configuration as unknown as KubeObject, { webhooks });
    await expect.poll(failurePolicy, { timeout: 30_000 }).toBe('Fail');
    const after = await stored('ValidatingWebhookConfiguration', validator);
    expect(after.webhooks?.[0]?.clientConfig.caBundle).toBe(before);
    expect(await registry.metrics()).toMatch(/webhook_patch_attempts_total\{name="istio-sidecar-injector"\} [1-9]/);
  });
});

describe('commands of a cluster', () => {
  const injectorMap = (data: Record<string, string>): KubeObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'istio-sidecar-injector', namespace: 'istio-system' },
    data,
  });
  const hubSettings = { config: 'policy: enabled', values: JSON.stringify({ global: { hub: 'hub.example.com' } }) };

  const meltemi = (...args: readonly string[]) =>
    run(process.execPath, ['cmd/main.ts', ...args, '--kubeconfig', api.kubeconfig], { cwd: root });

  test('without ConfigMaps the defaults count, as in the control plane, and both commands say so', async () => {
    const explained = await meltemi('check-inject', '-n', 'labelled');
    expect(explained.stdout).toContain('Injected: The pod says nothing itself');
    const note = 'There is no ConfigMap istio-sidecar-injector in namespace istio-system: its defaults count.';
    expect(explained.stderr).toContain(note);
    const folder = await mkdtemp(join(tmpdir(), 'inject-'));
    try {
      await writeFile(join(folder, 'web.json'), JSON.stringify(deploymentOf('default')));
      const { stdout, stderr } = await meltemi('kube-inject', '-f', join(folder, 'web.json'));
      expect(stdout).toContain('name: istio-proxy');
      expect(stderr).toContain(note);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('check-inject explains a pod of the cluster by the answer that it would get', async () => {
    const pod = (name: string, annotations: Record<string, string>): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'named', annotations },
      spec: { containers: [{ name: 'web', image: 'x:1' }] },
    });
    await api.client.apply(namespaceOf('named'));
    await api.client.create(pod('good', { 'inject.istio.io/templates': 'gateway' }));
    await api.client.create(pod('bad', { 'sidecar.istio.io/interceptionMode': 'MAGIC' }));
    await api.client.apply(namespaceOf('named', { 'istio-injection': 'enabled' }));
    const good = await meltemi('check-inject', 'good', '-n', 'named');
    expect(good.stdout).toContain('Injected: The pod says nothing itself');
    expect(good.stdout).toContain('Templates: gateway. Proxy: container.');
    const bad = await meltemi('check-inject', 'bad', '-n', 'named');
    expect(bad.stdout).toMatch(
      /^Refused: invalid value 'MAGIC' for annotation 'sidecar\.istio\.io\/interceptionMode'/m,
    );
    await expect(meltemi('check-inject', 'none', '-n', 'named')).rejects.toThrow('there is no pod none');
  });

  test('check-inject shows that settings which cannot be read refuse pods', async () => {
    await api.client.apply(injectorMap({ config: 'templates: {mine: "x"}' }));
    const { stdout } = await meltemi('check-inject', '-n', 'labelled');
    expect(stdout).toMatch(/^Refused: The settings of revision default cannot be used: .*"mine" is not built in/m);
  });

  test.each([
    ['labelled', [], 'Injected: The pod says nothing itself'],
    ['silent', [], 'Not injected: No injection webhook selects the pod in namespace silent'],
    ['silent', ['-l', 'sidecar.istio.io/inject=true'], "Injected: The pod's label"],
    ['foreign', [], 'the namespace has label istio.io/rev=other, not default'],
  ])('check-inject explains namespace %s %j', async (namespace, args, text) => {
    await api.client.apply(injectorMap(hubSettings));
    expect((await meltemi('check-inject', '-n', namespace, ...args)).stdout).toContain(text);
  });

  test('kube-inject takes its settings from the ConfigMaps', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'inject-'));
    try {
      const file = join(folder, 'web.json');
      await writeFile(file, JSON.stringify(deploymentOf('default')));
      const { stdout } = await meltemi('kube-inject', '-f', file);
      expect(stdout).toContain('image: hub.example.com/proxyv2:latest');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('when it stands still', () => {
  test('objects and labelled pods are refused, the rest goes on', async () => {
    await server?.close();
    server = undefined;
    await expect(api.client.create(virtualService('late'))).rejects.toThrow(/failed calling webhook/);
    const pod = (namespace: string): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'late', namespace },
      spec: { containers: [{ name: 'web', image: 'x:1' }] },
    });
    await expect(api.client.create(pod('labelled'))).rejects.toThrow(/failed calling webhook/);
    await expect(api.client.create(pod('silent'))).resolves.toBeDefined();
    await startWebhook();
    await expect(api.client.create(pod('labelled'))).resolves.toBeDefined();
  });
});
