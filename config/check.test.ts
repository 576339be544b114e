// Objects are read by their schemas: what is accepted, what is refused, where, and with what help.
import { describe, expect, test } from 'vitest';
import { type CheckOptions, checkObject } from './check.ts';

function virtualService(spec: unknown, more: object = {}): unknown {
  return { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'a' }, spec, ...more };
}

function findings(raw: unknown, options?: CheckOptions): readonly string[] {
  return checkObject(raw, options).diagnostics.map(
    ({ severity, code, path, message, help }) =>
      `${severity} ${code} ${path ?? ''}: ${message}${help ? ` (${help})` : ''}`,
  );
}

function specOf(raw: unknown, options?: CheckOptions): unknown {
  const { object, diagnostics } = checkObject(raw, options);
  expect(diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
  return (object as { readonly spec?: unknown } | undefined)?.spec;
}

describe('the envelope', () => {
  test.each([
    [undefined, 'not-an-object'],
    [null, 'not-an-object'],
    [[], 'not-an-object'],
    ['text', 'not-an-object'],
    [{}, 'not-an-object'],
    [{ apiVersion: 'v1' }, 'not-an-object'],
    [{ apiVersion: 5, kind: 'Service' }, 'not-an-object'],
    [{ apiVersion: 'v1', kind: 'Service' }, 'not-an-object'],
    [{ apiVersion: 'v1', kind: 'Service', metadata: { name: '' } }, 'not-an-object'],
    [{ apiVersion: 'v1', kind: 'Service', metadata: 'x' }, 'wrong-type'],
    [{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'a', labels: { b: 5 } } }, 'wrong-type'],
    [{ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'a' } }, 'unknown-kind'],
    [{ apiVersion: 'networking.istio.io/v9', kind: 'Gateway', metadata: { name: 'a' } }, 'unknown-version'],
    [{ apiVersion: 'v1', kind: 'constructor', metadata: { name: 'a' } }, 'unknown-kind'],
    [{ apiVersion: 'v1', kind: '__proto__', metadata: { name: 'a' } }, 'unknown-kind'],
  ])('%j gives %s', (raw, code) => {
    const { object, diagnostics } = checkObject(raw);
    expect(object).toBeUndefined();
    expect(diagnostics.map((diagnostic) => diagnostic.code)).toEqual([code]);
  });

  test('a misspelt kind of ours is a warning with a suggestion, a foreign one is only noted', () => {
    const raw = { apiVersion: 'networking.istio.io/v1', kind: 'VirtualServices', metadata: { name: 'a' } };
    expect(findings(raw)).toEqual([
      'warning unknown-kind kind: VirtualServices of networking.istio.io/v1 is not a kind that is read here ' +
        '(did you mean VirtualService of networking.istio.io/v1?)',
    ]);
    expect(findings({ apiVersion: 'batch/v1', kind: 'Job' })).toEqual([
      'info unknown-kind kind: Job of batch/v1 is not a kind that is read here',
    ]);
  });

  test('namespaces: the default for namespaced kinds, none for cluster-scoped ones', () => {
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' } };
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'a', namespace: 'b' } };
    expect(checkObject(service).object?.metadata.namespace).toBe('default');
    expect(checkObject(service, { defaultNamespace: 'team' }).object?.metadata.namespace).toBe('team');
    expect(checkObject(node).object?.metadata.namespace).toBe('');
  });

  test('fields beside spec are refused for mesh kinds and dropped for those of Kubernetes', () => {
    expect(findings(virtualService({}, { specs: {} }))).toEqual([
      'error unknown-field specs: there is no such field (did you mean spec?)',
    ]);
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' }, immutable: true, type: 'Opaque' };
    expect(checkObject(secret).object).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'a', namespace: 'default' },
      type: 'Opaque',
    });
  });
});

describe('fields', () => {
  test.each([
    [
      'an unknown field',
      { hots: ['a'] },
      ['error unknown-field spec.hots: there is no such field (did you mean hosts?)'],
    ],
    [
      'an unknown field deep inside',
      { http: [{}, { route: [{ destination: { hostt: 'a' } }] }] },
      ['error unknown-field spec.http[1].route[0].destination.hostt: there is no such field (did you mean host?)'],
    ],
    ['a wrong type', { hosts: 'a' }, ['error wrong-type spec.hosts: must be a list, not a string']],
    [
      'a number for a string',
      { hosts: [5] },
      ['error wrong-type spec.hosts[0]: must be a string, not a number (write it in quotes)'],
    ],
    ['a list for an object', { http: [[]] }, ['error wrong-type spec.http[0]: must be an object, not a list']],
    [
      'a fraction',
      { http: [{ match: [{ port: 1.5 }] }] },
      ['error wrong-type spec.http[0].match[0].port: must be a whole number'],
    ],
    [
      'a negative port',
      { http: [{ match: [{ port: -1 }] }] },
      ['error invalid-value spec.http[0].match[0].port: must be from 0 to 4294967295'],
    ],
    [
      'a text for a number',
      { http: [{ match: [{ port: 'http' }] }] },
      ['error wrong-type spec.http[0].match[0].port: must be a whole number, not a string'],
    ],
    [
      'a text for a flag',
      { http: [{ match: [{ ignoreUriCase: 'true' }] }] },
      ['error wrong-type spec.http[0].match[0].ignoreUriCase: must be true or false, not a string'],
    ],
    [
      'a bad duration',
      { http: [{ timeout: '10' }] },
      ['error invalid-value spec.http[0].timeout: is not a duration (such as 500ms, 10s or 1h30m)'],
    ],
    [
      'bad base64',
      { http: [{ directResponse: { body: { bytes: '*' } } }] },
      ['error invalid-value spec.http[0].directResponse.body.bytes: is not base64'],
    ],
    [
      'a bad enum value',
      { http: [{ redirect: { derivePort: 'FROM_REQUEST_PROT' } }] },
      [
        'error invalid-value spec.http[0].redirect.derivePort: must be one of FROM_PROTOCOL_DEFAULT, FROM_REQUEST_PORT (did you mean FROM_REQUEST_PORT?)',
      ],
    ],
    [
      'fields that exclude each other',
      { http: [{ match: [{ uri: { exact: '/', prefix: '/' } }] }] },
      ['error conflicting-fields spec.http[0].match[0].uri: exact and prefix exclude each other'],
    ],
    [
      'an odd key',
      { http: [{ match: [{ headers: { 'a b': 5 } }] }] },
      ['error wrong-type spec.http[0].match[0].headers["a b"]: must be an object, not a number'],
    ],
  ])('%s', (_, spec, expected) => {
    expect(findings(virtualService(spec))).toEqual(expected);
  });

  test.each([
    [
      'snake case',
      { export_to: ['.'], http: [{ match: [{ ignore_uri_case: true }] }] },
      { exportTo: ['.'], http: [{ match: [{ ignoreUriCase: true }] }] },
    ],
    ['numbers in quotes', { http: [{ match: [{ port: '80' }] }] }, { http: [{ match: [{ port: 80 }] }] }],
    [
      'numbers of enum values',
      { http: [{ redirect: { derivePort: 1 } }] },
      { http: [{ redirect: { derivePort: 'FROM_REQUEST_PORT' } }] },
    ],
    ['null as absent', { hosts: ['a'], http: null, exportTo: null }, { hosts: ['a'] }],
    ['null elements as empty ones', { http: [null], hosts: [null] }, { http: [{}], hosts: [''] }],
    ['no spec', undefined, {}],
    ['null spec', null, {}],
  ])('%s', (_, spec, expected) => {
    expect(specOf(virtualService(spec))).toEqual(expected);
  });

  test('leniency: unknown fields and enum numbers can be warned of or ignored', () => {
    const raw = virtualService({
      hots: [],
      http: [{ redirect: { derivePort: 9 }, match: [{ uri: { exact: 'a', regex: 'b' } }] }],
    });
    expect(findings(raw).map((line) => line.split(' ')[0])).toEqual(['error', 'error', 'error']);
    expect(findings(raw, { unknown: 'warning' }).map((line) => line.split(' ')[0])).toEqual(['warning', 'warning']);
    expect(findings(raw, { unknown: 'ignore' })).toEqual([]);
    expect(specOf(raw, { unknown: 'ignore' })).toEqual({ http: [{ redirect: {}, match: [{ uri: { regex: 'b' } }] }] });
  });

  test('what Kubernetes has and we do not read is dropped in silence', () => {
    const raw = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'a', managedFields: [{}] },
      spec: { ports: [{ port: 80, targetPort: 'web', odd: true }], odd: {} },
    };
    expect(checkObject(raw)).toEqual({
      object: {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'a', namespace: 'default' },
        spec: { ports: [{ port: 80, targetPort: 'web' }] },
      },
      diagnostics: [],
    });
  });
});

describe('hostile input', () => {
  test('keys that would reach prototypes', () => {
    const raw = JSON.parse(
      '{"apiVersion":"networking.istio.io/v1","kind":"VirtualService","__proto__":{"polluted":1},' +
        '"metadata":{"name":"a","labels":{"__proto__":"x","constructor":"y"}},' +
        '"spec":{"__proto__":{"polluted":1},"constructor":{},"http":[{"match":[{"headers":{"__proto__":{"exact":"a"}}}]}]}}',
    ) as unknown;
    expect(findings(raw)).toEqual([
      'error invalid-value metadata.labels.__proto__: is not a usable key',
      'error unknown-field __proto__: there is no such field (fields of the kind stand under spec)',
      'error unknown-field spec.__proto__: there is no such field',
      'error unknown-field spec.constructor: there is no such field',
      'error invalid-value spec.http[0].match[0].headers.__proto__: is not a usable key',
    ]);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test('maps of the user have no inherited keys', () => {
    const raw = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', labels: { constructor: 'x' } } };
    const labels = checkObject(raw).object?.metadata.labels ?? {};
    expect(labels['constructor']).toBe('x');
    expect(labels['toString']).toBeUndefined();
  });

  test('depth and number of findings are bounded', () => {
    let value: unknown = 1;
    for (let depth = 0; depth < 5000; depth++) value = { a: value };
    const raw = {
      apiVersion: 'extensions.istio.io/v1alpha1',
      kind: 'WasmPlugin',
      metadata: { name: 'a' },
      spec: { pluginConfig: value },
    };
    expect(checkObject(raw).diagnostics.map(({ message }) => message)).toEqual(['nested deeper than 60']);
    const hosts = Array.from({ length: 10_000 }, () => 5);
    expect(checkObject(virtualService({ hosts })).diagnostics).toHaveLength(100);
    expect(checkObject(virtualService({ hosts }), { maxFindings: 3 }).diagnostics).toHaveLength(3);
  });

  test('long names are cut in messages', () => {
    const [finding = ''] = findings(virtualService({ ['x'.repeat(100_000)]: 1 }));
    expect(finding.length).toBeLessThan(300);
  });
});

describe('of what people keep in ConfigMaps and Secrets', () => {
  const settings = ['mesh', 'meshNetworks', 'config', 'values'];
  const configMapKeys = [...settings, 'root-cert.pem', 'ca-crl.pem', 'ca.crt', 'cacert', 'crl', 'ca.crl'];
  const foreign = 'x'.repeat(1_000);
  const copy = { 'kubectl.kubernetes.io/last-applied-configuration': foreign };
  const metadata = { name: 'a', namespace: 'n', annotations: { ...copy, 'example.com/own': 'b' } };
  const read = (kind: string, body: object) => checkObject({ apiVersion: 'v1', kind, metadata, ...body });

  test.each<[string, string, object, object]>([
    [
      'ConfigMap',
      'what is for others is dropped',
      { data: { 'dashboard.json': foreign, mesh: 'a: b', odd: foreign }, binaryData: { image: 'eHg=' } },
      { data: { mesh: 'a: b' } },
    ],
    [
      'ConfigMap',
      'every key that is read stays',
      { data: Object.fromEntries(configMapKeys.map((key) => [key, key])) },
      { data: Object.fromEntries(configMapKeys.map((key) => [key, key])) },
    ],
    ['ConfigMap', 'nothing but what is for others leaves an empty one', { data: { a: foreign } }, { data: {} }],
    [
      'Secret',
      'what is for others is dropped',
      { type: 'Opaque', data: { password: 'eHh4', 'tls.crt': 'eHg=' }, stringData: { token: foreign, key: 'k' } },
      { type: 'Opaque', data: { 'tls.crt': 'eHg=' }, stringData: { key: 'k' } },
    ],
  ])('%s: %s', (kind, _, body, wanted) => {
    const { object, diagnostics } = read(kind, body);
    expect(diagnostics).toEqual([]);
    expect(object).toEqual({
      apiVersion: 'v1',
      kind,
      metadata: { ...metadata, annotations: { 'example.com/own': 'b' } },
      ...wanted,
    });
    expect(JSON.stringify(object)).not.toContain('xxx');
  });

  test('what is dropped is looked at first', () => {
    expect(read('ConfigMap', { data: { replicas: 3 } }).diagnostics).toMatchObject([
      { code: 'wrong-type', path: 'data.replicas', help: 'write it in quotes' },
    ]);
    expect(read('Secret', { data: { password: 'not base64!' } }).diagnostics).toMatchObject([
      { code: 'invalid-value', path: 'data.password' },
    ]);
  });
});
