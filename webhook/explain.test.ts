// Tables for check-inject: what the webhooks that are called would answer about a pod, by the settings of their revision.
import { expect, test } from 'vitest';
import { emptyCluster, testPod, testSettings } from '../test/support/webhook.ts';
import type { ClusterView } from './context.ts';
import { explainInjection, explainWebhooks, type RevisionSettings } from './explain.ts';
import type { Pod } from './pod.ts';
import { injectorConfiguration, type RegistrationOptions, tagConfiguration } from './registration.ts';

const options: RegistrationOptions = {
  target: { service: 'istiod', namespace: 'istio-system' },
  namespace: 'istio-system',
  revision: '',
};
const canary = { ...options, revision: 'canary' };
const configurations = [
  injectorConfiguration(options),
  injectorConfiguration(canary),
  tagConfiguration('prod', canary),
];

const { policy } = testSettings();
const settings: Readonly<Record<string, RevisionSettings>> = {
  default: { settings: testSettings() },
  canary: { settings: testSettings({}, {}, { policy: { ...policy, policy: 'disabled' } }) },
};

function explain(
  pod: Pod,
  labels: Record<string, string>,
  settingsOf = (revision: string) => settings[revision] as RevisionSettings,
  cluster: ClusterView = emptyCluster,
  webhooks = configurations,
) {
  const question = { namespace: { name: 'shop', labels }, pod };
  return explainInjection(question, explainWebhooks(question, webhooks), settingsOf, cluster);
}

const enabled = { 'istio-injection': 'enabled' };

test.each<[string, Pod, Record<string, string>, object]>([
  ['a pod', testPod(), enabled, { outcome: 'injected', templates: ['sidecar'], proxy: 'container' }],
  ['no webhook', testPod(), {}, { outcome: 'left alone', reason: expect.stringContaining('No injection webhook') }],
  [
    "the policy of the webhook's revision",
    testPod(),
    { 'istio.io/rev': 'prod' },
    { outcome: 'left alone', reason: expect.stringContaining('policy is disabled') },
  ],
  [
    'a native sidecar',
    testPod({ 'sidecar.istio.io/nativeSidecar': 'true' }),
    enabled,
    { outcome: 'injected', proxy: 'native sidecar' },
  ],
  [
    'no proxy',
    testPod({ 'inject.istio.io/templates': 'grpc-simple' }),
    enabled,
    { outcome: 'injected', templates: ['grpc-simple'], proxy: 'none' },
  ],
  [
    'a bad annotation',
    testPod({ 'sidecar.istio.io/interceptionMode': 'MAGIC' }),
    enabled,
    { outcome: 'refused', reason: expect.stringContaining("annotation 'sidecar.istio.io/interceptionMode'") },
  ],
  [
    'an unknown template',
    testPod({ 'inject.istio.io/templates': 'mine' }),
    enabled,
    { outcome: 'refused', reason: expect.stringContaining('requested template "mine" not found') },
  ],
  [
    'a malformed pod',
    { spec: { containers: [{}] } } as unknown as Pod,
    enabled,
    { outcome: 'refused', reason: expect.stringContaining('malformed') },
  ],
])('%s', (_name, pod, labels, expected) => {
  expect(explain(pod, labels)).toMatchObject({ warnings: [], ...expected });
});

test('settings that cannot be read refuse', () => {
  const { outcome, reason } = explain(testPod(), enabled, () => ({ problem: 'template "mine" is not built in' }));
  expect(outcome).toBe('refused');
  expect(reason).toContain('settings of revision default cannot be used: template "mine" is not built in');
});

test('the node of the pod decides whether its proxy is native', () => {
  const auto = { settings: testSettings({}, {}, { nativeSidecars: 'auto' }) };
  const versions = (node?: string) => (node === 'new' ? ['v1.33.0'] : ['v1.33.0', 'v1.30.1']);
  const cluster: ClusterView = { ...emptyCluster, kubeletVersions: (_id, node) => versions(node) };
  const on = (nodeName: string) => ({ ...testPod(), spec: { ...testPod().spec, nodeName } });
  expect(explain(on('new'), enabled, () => auto, cluster).proxy).toBe('native sidecar');
  expect(explain(testPod(), enabled, () => auto, cluster).proxy).toBe('container');
});

test('webhooks of two revisions are warned of; the path of each is heeded', () => {
  const everywhere = { ...injectorConfiguration({ ...canary, injectPath: '/inject/1bad/x' }) };
  const both = [
    injectorConfiguration(options),
    {
      ...everywhere,
      webhooks: everywhere.webhooks?.slice(0, 1).map((hook) => ({ ...hook, namespaceSelector: {} })) ?? [],
    },
  ];
  const answer = explain(testPod(), enabled, undefined, emptyCluster, both);
  expect(answer.warnings).toEqual([expect.stringContaining('revisions default and canary select the pod')]);
  expect(answer).toMatchObject({ outcome: 'refused', reason: expect.stringContaining('"1bad" names no variable') });
});
