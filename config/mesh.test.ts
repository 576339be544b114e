// The mesh's settings: defaults, laying over, and bad input.
import { describe, expect, test } from 'vitest';
import { defaultMeshConfig, parseMeshConfig, parseMeshNetworks, parseProxyConfig } from './mesh.ts';

describe('parseMeshConfig', () => {
  test.each(['', '# nothing\n', '{}', 'null'])('%j is the defaults', (text) => {
    expect(parseMeshConfig(text)).toEqual({ mesh: defaultMeshConfig, diagnostics: [] });
  });

  test('fields replace, defaultConfig and providers are merged', () => {
    const { mesh, diagnostics } = parseMeshConfig(`
accessLogFile: /dev/stdout
outboundTrafficPolicy: { mode: REGISTRY_ONLY }
localityLbSetting: {}
trustDomainAliases: [b, a]
defaultConfig:
  concurrency: 2
  proxyMetadata: { A: x }
extensionProviders:
- name: envoy
  envoyFileAccessLog: { path: /tmp/log }
- name: authz
  envoyExtAuthzGrpc: { service: authz.default.svc.cluster.local, port: 9000 }
`);
    expect(diagnostics).toEqual([]);
    expect(mesh).toEqual({
      ...defaultMeshConfig,
      accessLogFile: '/dev/stdout',
      outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' },
      localityLbSetting: {},
      trustDomainAliases: ['a', 'b'],
      defaultConfig: { ...defaultMeshConfig.defaultConfig, concurrency: 2, proxyMetadata: { A: 'x' } },
      extensionProviders: [
        { name: 'prometheus', prometheus: {} },
        { name: 'stackdriver', stackdriver: {} },
        { name: 'envoy', envoyFileAccessLog: { path: '/tmp/log' } },
        { name: 'authz', envoyExtAuthzGrpc: { service: 'authz.default.svc.cluster.local', port: 9000 } },
      ],
    });
  });

  test('a second text is laid over the first', () => {
    const first = parseMeshConfig('defaultConfig: { proxyMetadata: { A: x, B: y } }').mesh ?? defaultMeshConfig;
    const second = parseMeshConfig('defaultConfig: { proxyMetadata: { B: z } }', { base: first }).mesh;
    expect(second?.defaultConfig.proxyMetadata).toEqual({ A: 'x', B: 'z' });
  });

  test('unknown fields are warned of and left out', () => {
    const { mesh, diagnostics } = parseMeshConfig('accesLogFile: /dev/stdout\ndefaultConfig: { odd: 1 }');
    expect(mesh).toEqual(defaultMeshConfig);
    expect(diagnostics.map(({ severity, path, help }) => [severity, path, help])).toEqual([
      ['warning', 'accesLogFile', 'did you mean accessLogFile?'],
      ['warning', 'defaultConfig.odd', undefined],
    ]);
  });

  test.each([
    ['proxyListenPort: [', 'yaml-syntax', undefined],
    ['a: &a [*a]', 'unknown-field', undefined],
    ['- 1', 'wrong-type', ''],
    ['proxyListenPort: http', 'wrong-type', 'proxyListenPort'],
    ['proxyListenPort: 70000', 'invalid-value', 'proxyListenPort'],
    ['connectTimeout: 0s', 'invalid-value', 'connectTimeout'],
    ['connectTimeout: 10', 'wrong-type', 'connectTimeout'],
    ['trustDomain: ""', 'missing-field', 'trustDomain'],
    ['extensionProviders: [{ prometheus: {} }]', 'missing-field', 'extensionProviders[3].name'],
    ['outboundTrafficPolicy: { mode: DENY }', 'invalid-value', 'outboundTrafficPolicy.mode'],
    ['a: 1\n---\nb: 2', 'yaml-syntax', undefined],
    [`accessLogFile: ${'x'.repeat(2 ** 20)}`, 'yaml-limit', undefined],
  ])('%#: %.40s is refused', (text, code, path) => {
    const { mesh, diagnostics } = parseMeshConfig(text);
    if (code !== 'unknown-field') expect(mesh).toBeUndefined();
    expect(diagnostics[0]?.code).toBe(code);
    if (path !== undefined) expect(diagnostics[0]?.path).toBe(path);
  });
});

test('networks', () => {
  const { value } = parseMeshNetworks(
    'networks: { a: { endpoints: [{ fromRegistry: b }], gateways: [{ address: 1.1.1.1, port: 15443 }] } }',
  );
  expect(value).toEqual({
    networks: { a: { endpoints: [{ fromRegistry: 'b' }], gateways: [{ address: '1.1.1.1', port: 15443 }] } },
  });
});

test('the annotation of a pod', () => {
  expect(parseProxyConfig('concurrency: 1\ntracing: { sampling: 50 }').value).toEqual({
    concurrency: 1,
    tracing: { sampling: 50 },
  });
  expect(parseProxyConfig('concurrency: many').value).toBeUndefined();
});
