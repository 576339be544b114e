// The registry of kinds is consistent, and its types are those of the schemas.
import { describe, expect, expectTypeOf, test } from 'vitest';
import { kindNames, kindOf, kinds, type ObjectOf } from './kinds.ts';

describe('every kind', () => {
  test.each(kindNames)('%s is declared under its name, with distinct names and versions', (name) => {
    const { kind, plural, singular, versions, shortNames, scope, body } = kinds[name];
    expect(kind).toBe(name);
    expect(singular).toBe(kind.toLowerCase());
    expect(plural).toMatch(new RegExp(`^${singular.slice(0, -1)}`));
    expect(versions.length).toBeGreaterThan(0);
    expect(new Set(versions).size).toBe(versions.length);
    expect(['Namespaced', 'Cluster']).toContain(scope);
    expect(shortNames).not.toContain(plural);
    expect(Object.keys(body.properties)).not.toContain('metadata');
  });

  test('plural names are distinct within a group', () => {
    const names = kindNames.map((name) => `${kinds[name].group}/${kinds[name].plural}`);
    expect(new Set(names).size).toBe(names.length);
  });
});

test.each([
  ['networking.istio.io/v1', 'VirtualService', 'kind'],
  ['networking.istio.io/v1alpha3', 'VirtualService', 'kind'],
  ['networking.istio.io/v2', 'VirtualService', 'other-version'],
  ['v1', 'Service', 'kind'],
  ['v2', 'Service', 'other-version'],
  ['serving.knative.dev/v1', 'Service', 'nothing'],
  ['gateway.networking.k8s.io/v1', 'Gateway', 'nothing'],
  ['discovery.k8s.io/v1', 'EndpointSlice', 'kind'],
  ['v1', 'toString', 'nothing'],
  ['', '', 'nothing'],
])('kindOf %s %s: %s', (apiVersion, kind, found) => {
  expect(kindOf(apiVersion, kind).found).toBe(found);
});

test('types come from the schemas, readonly all the way down', () => {
  type Spec = NonNullable<ObjectOf<'VirtualService'>['spec']>;
  type Route = NonNullable<Spec['http']>[number];
  expectTypeOf<Route['timeout']>().toEqualTypeOf<string | undefined>();
  expectTypeOf<NonNullable<Spec['hosts']>>().toEqualTypeOf<readonly string[]>();
  expectTypeOf<NonNullable<NonNullable<Route['redirect']>['derivePort']>>().toEqualTypeOf<
    'FROM_PROTOCOL_DEFAULT' | 'FROM_REQUEST_PORT'
  >();
  const route: Route = { timeout: '5s' };
  // @ts-expect-error: fields of objects are readonly
  route.timeout = '6s';
  // @ts-expect-error: there is no such field
  const wrong: Route = { timout: '5s' };
  expect([route, wrong]).toHaveLength(2);
});
