// Settings of the mesh in ConfigMaps are checked with the ConfigMap.
import { expect, test } from 'vitest';
import { formatDiagnostic } from '../diagnostic.ts';
import { validateObject } from '../validate.ts';

function findingsOf(name: string, data: object): readonly string[] {
  return validateObject({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'istio-system' },
    data,
  }).map((finding) => formatDiagnostic(finding));
}

test.each([
  ['istio', { mesh: 'accessLogFile: /dev/stdout', meshNetworks: 'networks: {}' }, []],
  ['istio-ca-root-cert', { 'root-cert.pem': 'x' }, []],
  ['other', { mesh: '[' }, []],
  [
    'istio',
    { mesh: 'proxyListenPort: x' },
    ['error[wrong-type] ConfigMap istio-system/istio data.mesh: proxyListenPort: must be a whole number, not a string'],
  ],
  [
    'istio-canary',
    { mesh: 'acessLogFile: x' },
    [
      'warning[unknown-field] ConfigMap istio-system/istio-canary data.mesh: acessLogFile: there is no such field (did you mean accessLogFile?)',
    ],
  ],
  [
    'istio',
    { meshNetworks: 'networks: []' },
    ['error[wrong-type] ConfigMap istio-system/istio data.meshNetworks: networks: must be an object, not a list'],
  ],
])('%s %j', (name, data, expected) => {
  expect(findingsOf(name, data)).toEqual(expected);
});

test('bad YAML is said with its line', () => {
  expect(findingsOf('istio', { mesh: 'a: 1\nb: [' })).toEqual([
    expect.stringMatching(/^error\[yaml-syntax\] ConfigMap istio-system\/istio data\.mesh: line [23]: /),
  ]);
});
