// The printed webhook configurations, as a cluster would read them.
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { webhookManifest } from './webhook-manifest.ts';

const defaults = {
  namespace: 'istio-system',
  revision: '',
  tag: [],
  injectPath: '/inject',
  reinvocationPolicy: 'Never',
};

function namesOf(text: string): readonly unknown[] {
  return parseAllDocuments(text, { version: '1.1' }).map((document) => document.getIn(['metadata', 'name']));
}

test.each<[string, Partial<Parameters<typeof webhookManifest>[0]>, readonly string[]]>([
  ['the default revision', {}, ['istio-sidecar-injector', 'istio-validator-istio-system', 'istiod-default-validator']],
  ['another', { revision: 'canary' }, ['istio-sidecar-injector-canary', 'istio-validator-canary-istio-system']],
  [
    'tags',
    { revision: 'canary', tag: ['prod', 'default'] },
    [
      'istio-sidecar-injector-canary',
      'istio-validator-canary-istio-system',
      'istiod-default-validator',
      'istio-revision-tag-prod',
      'istio-revision-tag-default',
    ],
  ],
])('for %s', (_name, options, names) => {
  expect(namesOf(webhookManifest({ ...defaults, ...options }))).toEqual(names);
});

test('names a URL for a control plane outside, and the cluster in its path', () => {
  const text = webhookManifest({ ...defaults, url: 'https://mesh.example.com', injectPath: '/inject/cluster/west' });
  expect(text).toContain('url: https://mesh.example.com/inject/cluster/west');
});

test.each([{ revision: 'A_b' }, { tag: ['x y'] }, { reinvocationPolicy: 'Often' }])('refuses %j', (options) => {
  expect(() => webhookManifest({ ...defaults, ...options })).toThrow();
});
