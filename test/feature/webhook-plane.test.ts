// The webhooks of the running control plane: its own certificate, the ConfigMap that the cluster holds, its registration.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { crdManifest } from '../../cmd/manifest.ts';
import { webhookManifest } from '../../cmd/webhook-manifest.ts';
import { startDiscovery, type TestDiscovery } from '../support/discovery.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import type { KubeObject } from '../support/kube-client.ts';
import { leastPrivilege } from '../support/kubernetes-plane.ts';

let api: TestApiServer;
let discovery: TestDiscovery;

beforeAll(async () => {
  api = await startApiServer();
  await api.client.applyYaml(crdManifest());
  for (const [name, labels] of [
    ['istio-system', {}],
    ['shop', { 'istio-injection': 'enabled' }],
  ] as const) {
    await api.client.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  }
  await api.client.apply(injector('one.example.com'));
  const environment = { ISTIOD_CUSTOM_HOST: '127.0.0.1', POD_NAMESPACE: 'istio-system' };
  discovery = await startDiscovery({ kubeconfig: await leastPrivilege(api), environment });
  const text = webhookManifest({
    namespace: 'istio-system',
    revision: '',
    tag: [],
    url: `https://127.0.0.1:${discovery.ports.https}`,
    injectPath: '/inject',
    reinvocationPolicy: 'Never',
  });
  for (const document of parseAllDocuments(text)) {
    const configuration = document.toJS() as KubeObject;
    // Objects that name no revision only, as where a default tag is all that is installed.
    if (configuration.metadata.name !== 'istio-validator-istio-system') await api.client.create(configuration);
  }
}, 300_000);

afterAll(async () => {
  await discovery?.[Symbol.asyncDispose]();
  await api?.stop();
});

const injector = (hub: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'istio-sidecar-injector', namespace: 'istio-system' },
  data: { config: 'policy: enabled', values: JSON.stringify({ global: { hub, tag: '1' } }) },
});

let pods = 0;

/** The image of the proxy that a new pod gets, or why there is none. */
async function injectedImage(): Promise<string> {
  const pod: KubeObject = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `web-${pods++}`, namespace: 'shop' },
    spec: { serviceAccountName: 'default', containers: [{ name: 'web', image: 'x:1' }] },
  };
  const created = await api.client.create(pod).catch((error: Error) => error);
  if (created instanceof Error) return created.message;
  const { containers } = created['spec'] as { containers: readonly { name: string; image: string }[] };
  return containers.find(({ name }) => name === 'istio-proxy')?.image ?? 'none';
}

test('pods get the proxy that the ConfigMap names, and a changed one counts at once', async () => {
  await expect.poll(injectedImage, { timeout: 20_000 }).toBe('one.example.com/proxyv2:1');
  await api.client.apply(injector('two.example.com'));
  await expect.poll(injectedImage, { timeout: 10_000 }).toBe('two.example.com/proxyv2:1');
});

test('a ConfigMap that cannot be used is a finding, and the last good one stays in force', async () => {
  const good = injector('two.example.com');
  const findings = async (): Promise<readonly { readonly code: string; readonly message: string }[]> =>
    JSON.parse(await discovery.get('/debug/status')).findings;
  await api.client.apply({ ...good, data: { config: 'templates: {mine: "{{ .Name }}"}' } });
  await expect
    .poll(findings, { timeout: 10_000 })
    .toMatchObject([
      { code: 'invalid-value', message: 'templates: template "mine" is not built in' },
      { code: 'kept-last-good' },
    ]);
  expect(await injectedImage()).toBe('two.example.com/proxyv2:1');
  expect(await discovery.get('/ready')).toContain('ready');
  await api.client.apply(good);
  await expect.poll(findings, { timeout: 10_000 }).toEqual([]);
});

test('unsound objects are refused with the reason once the webhook is seen to answer', async () => {
  const validator: KubeObject = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: 'istiod-default-validator' },
  };
  const policy = async () =>
    ((await api.client.get(validator))['webhooks'] as readonly { failurePolicy: string }[])[0]?.failurePolicy;
  await expect.poll(policy, { timeout: 20_000 }).toBe('Fail');
  const service = (regex: string): KubeObject => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'a', namespace: 'shop' },
    spec: { hosts: ['a.com'], http: [{ match: [{ uri: { regex } }], route: [{ destination: { host: 'a' } }] }] },
  });
  await expect(api.client.create(service('['))).rejects.toThrow(/"validation\.istio\.io" denied the request.*regex/s);
  await expect(api.client.create(service('/a.*'))).resolves.toBeDefined();
});

test('the metrics tell what happened', async () => {
  const text = await discovery.get('/metrics');
  expect(text).toMatch(/sidecar_injection_success_total [1-9]/);
  expect(text).toMatch(/galley_validation_failed\{.*\} [1-9]/);
  expect(text).toMatch(/webhook_patch_attempts_total\{name="istio-sidecar-injector"\} [1-9]/);
  expect(text).toMatch(/galley_validation_config_updates\{name="istiod-default-validator"\} [1-9]/);
  expect(text).not.toMatch(/galley_validation_config_updates\{name="istio-sidecar-injector"\}/);
});
