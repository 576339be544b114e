// Rules of WasmPlugin, TrafficExtension and EnvoyFilter.
import { describe, expect, test } from 'vitest';
import { registry } from '../../protos/registry.ts';
import { validateObject } from '../validate.ts';

const versions: Readonly<Record<string, string>> = {
  WasmPlugin: 'extensions.istio.io/v1alpha1',
  TrafficExtension: 'extensions.istio.io/v1alpha1',
  EnvoyFilter: 'networking.istio.io/v1alpha3',
};

function findings(kind: string, spec: object): readonly string[] {
  const raw = { apiVersion: versions[kind], kind, metadata: { name: 'a', namespace: 'ns' }, spec };
  return validateObject(raw, { envoyTypes: registry })
    .map(({ severity, path, message }) => `${severity} ${path}: ${message}`)
    .filter((line) => !line.includes('exposes internal implementation details'));
}

const wasm = (fields: object) => ({ url: 'oci://registry.example.com/a:1', ...fields });
const patch = (applyTo: string, value: object, fields: object = {}) => ({
  configPatches: [{ applyTo, patch: { operation: 'MERGE', value }, ...fields }],
});
const withFilter = (filter: object) => ({ match: { listener: { filterChain: { filter } } } });
const lua = { '@type': 'type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua', inline_code: 'x' };

describe('accepted in silence', () => {
  test.each([
    ['WasmPlugin', wasm({})],
    ['WasmPlugin', { url: 'registry.example.com/a:1' }],
    [
      'WasmPlugin',
      wasm({
        vmConfig: {
          env: [
            { name: 'A', value: 'b' },
            { name: 'B', valueFrom: 'HOST' },
          ],
        },
      }),
    ],
    ['TrafficExtension', { wasm: wasm({ sha256: 'a'.repeat(64) }), match: [{ ports: [{ number: 80 }] }] }],
    ['TrafficExtension', { lua: { inlineCode: 'x = 1' } }],
    ['EnvoyFilter', patch('HTTP_FILTER', { name: 'lua', typed_config: lua })],
    [
      'EnvoyFilter',
      patch('CLUSTER', { connectTimeout: '1m30s', lb_policy: 'RANDOM', max_requests_per_connection: '5' }),
    ],
    ['EnvoyFilter', patch('CLUSTER', {}, { match: { cluster: { service: 'a' } } })],
    ['EnvoyFilter', { configPatches: [{ applyTo: 'CLUSTER', patch: { operation: 'REMOVE' } }] }],
  ])('%s %j', (kind, spec) => {
    expect(findings(kind, spec)).toEqual([]);
  });
});

describe('refused', () => {
  test.each([
    ['WasmPlugin', { url: '' }, 'url field needs to be set'],
    ['WasmPlugin', { url: 'ftp://a/b' }, 'unsupported scheme'],
    ['WasmPlugin', { url: '#%blah$#@' }, 'failed to parse url'],
    ['WasmPlugin', wasm({ sha256: 'a' }), '64 characters'],
    ['WasmPlugin', wasm({ sha256: 'Z'.repeat(64) }), '[a-f0-9]'],
    ['WasmPlugin', wasm({ vmConfig: { env: [{ name: 'A' }, { name: 'A' }] } }), 'duplicate env'],
    ['WasmPlugin', wasm({ vmConfig: { env: [{}] } }), 'vmConfig.env invalid'],
    ['WasmPlugin', wasm({ vmConfig: { env: [{ name: 'A', valueFrom: 'HOST', value: 'b' }] } }), 'valueFrom is INLINE'],
    ['WasmPlugin', wasm({ match: [{ ports: [{ number: 0 }] }] }), 'out of range'],
    ['TrafficExtension', {}, 'exactly one of wasm or lua'],
    ['TrafficExtension', { lua: {} }, 'cannot be empty'],
    ['TrafficExtension', { lua: { inlineCode: 'x'.repeat(65537) } }, '64KB'],
    ['EnvoyFilter', { configPatches: [{}] }, 'missing applyTo'],
    ['EnvoyFilter', { configPatches: [{ applyTo: 'CLUSTER' }] }, 'missing patch'],
    ['EnvoyFilter', { configPatches: [{ applyTo: 'CLUSTER', patch: {} }] }, 'missing patch operation'],
    ['EnvoyFilter', { configPatches: [{ applyTo: 'CLUSTER', patch: { operation: 'ADD' } }] }, 'missing patch value'],
    ['EnvoyFilter', patch('CLUSTER', {}, { match: { listener: {} } }), 'non cluster match'],
    ['EnvoyFilter', patch('LISTENER', {}, { match: { cluster: {} } }), 'non listener match'],
    ['EnvoyFilter', patch('HTTP_ROUTE', {}, { match: { cluster: {} } }), 'non route configuration match'],
    ['EnvoyFilter', patch('CLUSTER', {}, { match: { proxy: { proxyVersion: '(' } } }), 'invalid regex'],
    [
      'EnvoyFilter',
      { workloadSelector: { labels: { a: 'b' } }, targetRefs: [{ kind: 'Service', name: 'a' }] },
      'only one',
    ],
    ['EnvoyFilter', patch('HTTP_FILTER', {}, withFilter({})), 'filter match has no name'],
    ['EnvoyFilter', patch('NETWORK_FILTER', {}, withFilter({ name: 'a', subFilter: {} })), 'HTTP_FILTER only'],
    ['EnvoyFilter', patch('HTTP_FILTER', {}, withFilter({ name: 'a', subFilter: {} })), 'requires filter match with'],
    [
      'EnvoyFilter',
      patch('HTTP_FILTER', {}, withFilter({ name: 'envoy.filters.network.http_connection_manager', subFilter: {} })),
      'subfilter match has no name',
    ],
    ['EnvoyFilter', patch('HTTP_FILTER', { typed_config: { '@type': 'x' } }), "not a type of Envoy's"],
    [
      'EnvoyFilter',
      patch('HTTP_FILTER', { typed_config: { '@type': 'type.googleapis.com/envoy.config.filter.http.lua.v2.Lua' } }),
      'use v3',
    ],
    ['WasmPlugin', wasm({ pluginName: 'a'.repeat(257) }), 'pluginName'],
    ['EnvoyFilter', patch('CLUSTER', { name: 7 }), 'patch.value.name: must be a string'],
    ['EnvoyFilter', patch('CLUSTER', { connect_timeout: '10' }), 'is not a duration'],
    ['EnvoyFilter', patch('CLUSTER', { lb_policy: 'round_robin' }), 'must be one of'],
    ['EnvoyFilter', patch('CLUSTER', { max_requests_per_connection: -1 }), 'must be from 0'],
    ['EnvoyFilter', patch('CLUSTER', { load_assignment: [] }), 'must be an object'],
    ['EnvoyFilter', patch('CLUSTER', { filters: {} }), 'must be a list'],
    ['EnvoyFilter', patch('HTTP_FILTER', { typed_config: {} }), "must have an '@type'"],
    [
      'EnvoyFilter',
      patch('HTTP_FILTER', { typed_config: { ...lua, inline_code: {} } }),
      'inline_code: must be a string',
    ],
  ])('%s %j', (kind, spec, message) => {
    const errors = findings(kind, spec).filter((line) => line.startsWith('error'));
    expect(errors).toContainEqual(expect.stringContaining(message));
  });
});

describe('warned of', () => {
  test.each([
    ['EnvoyFilter', patch('CLUSTER', { foo: 1 }), 'unknown field "foo"'],
    ['EnvoyFilter', patch('HTTP_FILTER', { name: 'lua' }), 'without typed_config'],
    [
      'EnvoyFilter',
      patch('HTTP_FILTER', { typed_config: { '@type': 'type.googleapis.com/envoy.a.v3.B' } }),
      'not a type that we know',
    ],
    [
      'EnvoyFilter',
      patch('LISTENER', {}, { match: { listener: { filterChain: { filter: { name: 'a' } } } } }),
      'has no effect',
    ],
    [
      'EnvoyFilter',
      { configPatches: [{ applyTo: 'CLUSTER', match: { context: 'WAYPOINT' } }] },
      'the patch is missing',
    ],
  ])('%s %j', (kind, spec, message) => {
    const lines = findings(kind, spec);
    expect(lines.filter((line) => line.startsWith('error'))).toEqual([]);
    expect(lines).toContainEqual(expect.stringContaining(message));
  });

  test('every EnvoyFilter, for it depends on what may change', () => {
    const raw = { apiVersion: versions['EnvoyFilter'], kind: 'EnvoyFilter', metadata: { name: 'a' }, spec: {} };
    expect(validateObject(raw).map(({ message }) => message)).toEqual([
      expect.stringContaining('exposes internal implementation details'),
    ]);
  });
});
