// The generated CustomResourceDefinitions, without an API server; test/feature/crds.test.ts has one.
import { describe, expect, test } from 'vitest';
import { type CustomResourceDefinition, customResourceDefinitions } from './crd.ts';

const definitions = customResourceDefinitions();

interface Schema {
  readonly [keyword: string]: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
}

function definitionOf(kind: string): CustomResourceDefinition {
  const found = definitions.find(({ spec }) => (spec.names as { kind: string }).kind === kind);
  if (found === undefined) throw new Error(`no definition of ${kind}`);
  return found;
}

function specOf(kind: string): Schema {
  const [version] = definitionOf(kind).spec.versions as readonly { schema: { openAPIV3Schema: Schema } }[];
  return version?.schema.openAPIV3Schema.properties?.['spec'] ?? {};
}

function fieldOf(kind: string, ...path: readonly string[]): Schema | undefined {
  return path.reduce<Schema | undefined>(
    (schema, name) =>
      name === '[]' ? schema?.items : name === '{}' ? schema?.additionalProperties : schema?.properties?.[name],
    specOf(kind),
  );
}

function* schemasIn(schema: Schema, path = ''): Generator<readonly [string, Schema]> {
  yield [path, schema];
  for (const [name, child] of Object.entries(schema.properties ?? {})) yield* schemasIn(child, `${path}.${name}`);
  if (schema.items !== undefined) yield* schemasIn(schema.items, `${path}[]`);
  if (schema.additionalProperties !== undefined) yield* schemasIn(schema.additionalProperties, `${path}{}`);
}

describe('names and versions are those that users of Istio know', () => {
  test.each([
    ['VirtualService', 'networking.istio.io', 'virtualservices', ['vs'], ['v1', 'v1beta1', 'v1alpha3']],
    ['DestinationRule', 'networking.istio.io', 'destinationrules', ['dr'], ['v1', 'v1beta1', 'v1alpha3']],
    ['Gateway', 'networking.istio.io', 'gateways', ['gw'], ['v1', 'v1beta1', 'v1alpha3']],
    ['ServiceEntry', 'networking.istio.io', 'serviceentries', ['se'], ['v1', 'v1beta1', 'v1alpha3']],
    ['WorkloadEntry', 'networking.istio.io', 'workloadentries', ['we'], ['v1', 'v1beta1', 'v1alpha3']],
    ['WorkloadGroup', 'networking.istio.io', 'workloadgroups', ['wg'], ['v1', 'v1beta1', 'v1alpha3']],
    ['Sidecar', 'networking.istio.io', 'sidecars', undefined, ['v1', 'v1beta1', 'v1alpha3']],
    ['EnvoyFilter', 'networking.istio.io', 'envoyfilters', undefined, ['v1alpha3']],
    ['ProxyConfig', 'networking.istio.io', 'proxyconfigs', undefined, ['v1beta1']],
    ['PeerAuthentication', 'security.istio.io', 'peerauthentications', ['pa'], ['v1', 'v1beta1']],
    ['RequestAuthentication', 'security.istio.io', 'requestauthentications', ['ra'], ['v1', 'v1beta1']],
    ['AuthorizationPolicy', 'security.istio.io', 'authorizationpolicies', ['ap'], ['v1', 'v1beta1']],
    ['Telemetry', 'telemetry.istio.io', 'telemetries', ['telemetry'], ['v1alpha1', 'v1']],
    ['WasmPlugin', 'extensions.istio.io', 'wasmplugins', undefined, ['v1alpha1']],
    ['TrafficExtension', 'extensions.istio.io', 'trafficextensions', undefined, ['v1alpha1']],
  ])('%s', (kind, group, plural, shortNames, versions) => {
    const { metadata, spec } = definitionOf(kind);
    expect(metadata.name).toBe(`${plural}.${group}`);
    expect(spec.names).toMatchObject({ plural, categories: ['istio-io', `${group.split('.')[0]}-istio-io`] });
    expect((spec.names as { shortNames?: string[] }).shortNames).toEqual(shortNames);
    const served = spec.versions as readonly {
      name: string;
      served: boolean;
      storage: boolean;
      subresources: object;
    }[];
    expect(served.map(({ name }) => name)).toEqual(versions);
    expect(served.map(({ storage }) => storage)).toEqual(versions.map((_, index) => index === 0));
    expect(served.every((version) => version.served && 'status' in version.subresources)).toBe(true);
  });

  test('there are no others', () => {
    expect(definitions).toHaveLength(15);
  });
});

test('every schema has a type, and every field a description', () => {
  for (const { metadata, spec } of definitions) {
    for (const version of spec.versions as readonly { schema: { openAPIV3Schema: Schema } }[]) {
      for (const [path, schema] of schemasIn(version.schema.openAPIV3Schema)) {
        const name = `${metadata.name} ${path}`;
        const typed = schema['type'] !== undefined || schema['x-kubernetes-int-or-string'] === true;
        expect(typed, `${name} has a type`).toBe(true);
        expect(schema['description'], `${name} is described`).toEqual(expect.stringMatching(/\S/));
      }
    }
  }
});

describe('what our schemas say becomes OpenAPI', () => {
  test.each([
    ['a signed integer', fieldOf('WasmPlugin', 'priority'), { type: 'integer', format: 'int32', nullable: true }],
    ['an unsigned one', fieldOf('WorkloadEntry', 'weight'), { type: 'integer', minimum: 0, maximum: 4294967295 }],
    ['an enum', fieldOf('PeerAuthentication', 'mtls', 'mode'), { enum: ['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'] }],
    ['a map', fieldOf('PeerAuthentication', 'portLevelMtls', '{}', 'mode'), { type: 'string' }],
    ['free-form JSON', fieldOf('WasmPlugin', 'pluginConfig'), { 'x-kubernetes-preserve-unknown-fields': true }],
    ['a keyed list', fieldOf('ServiceEntry', 'ports'), { 'x-kubernetes-list-map-keys': ['name'] }],
    ['required fields', fieldOf('VirtualService', 'http', '[]', 'route', '[]'), { required: ['destination'] }],
    [
      'a duration',
      fieldOf('VirtualService', 'http', '[]', 'timeout'),
      {
        type: 'string',
        'x-kubernetes-validations': [expect.objectContaining({ rule: "duration(self) >= duration('1ms')" })],
      },
    ],
    ['a second spelling', fieldOf('RequestAuthentication', 'jwtRules', '[]', 'jwks_uri'), { maxLength: 2048 }],
    [
      'fields that exclude each other',
      fieldOf('VirtualService', 'http', '[]', 'redirect'),
      {
        oneOf: [
          { not: { anyOf: [{ required: ['port'] }, { required: ['derivePort'] }] } },
          { required: ['port'] },
          { required: ['derivePort'] },
        ],
      },
    ],
  ])('%s', (_, schema, expected) => {
    expect(schema).toMatchObject(expected);
  });

  test('a duration for which zero has a meaning has no rule', () => {
    const timeout = fieldOf('DestinationRule', 'trafficPolicy', 'connectionPool', 'tcp', 'idleTimeout');
    expect(timeout).not.toHaveProperty('x-kubernetes-validations');
  });

  test('two groups of fields that exclude each other are each kept', () => {
    const hash = fieldOf('DestinationRule', 'trafficPolicy', 'loadBalancer', 'consistentHash');
    expect(hash?.['allOf']).toHaveLength(2);
  });
});
