// Delegates of which nothing comes, case by case: what the root is told, and what the delegate.
import { expect, test } from 'vitest';
import type { AnyObject } from '../kinds/kinds.ts';
import { defaultMeshConfig, type MeshConfig } from '../mesh.ts';
import { keyOf } from '../object.ts';
import { Store } from '../store.ts';
import { validate } from '../validate.ts';
import { relate } from './relations.ts';
import { type Surroundings, surroundingsOf } from './view.ts';

type Objects = Readonly<Record<string, object>>;

/** VirtualServices, and what they are among. */
function worldOf(specs: Objects, mesh: MeshConfig): { objects: readonly AnyObject[]; around: Surroundings } {
  const store = new Store();
  const sink = store.sinkOf('test');
  const objects = Object.entries(specs).map(([key, spec]) => {
    const metadata = refOf(key);
    const raw = { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata, spec };
    const { object, diagnostics } = validate(raw);
    if (object === undefined) throw new Error(JSON.stringify(diagnostics));
    sink.apply([{ kind: 'VirtualService', key, object }]);
    return object;
  });
  return { objects, around: surroundingsOf(store, mesh, 'cluster.local') };
}

/** `namespace/name code path: message (help)` of everything that is found of VirtualServices among each other. */
function findingsOf(specs: Objects, mesh: MeshConfig = defaultMeshConfig): readonly string[] {
  const { objects, around } = worldOf(specs, mesh);
  return objects.flatMap((object) =>
    relate(object, around).map(({ severity, code, path, message, help, object: of }) => {
      const key = keyOf(object.metadata);
      expect(severity).toBe('warning');
      expect(of).toEqual({ kind: 'VirtualService', ...refOf(key) });
      return `${key} ${code} ${path}: ${message}${help === undefined ? '' : ` (${help})`}`;
    }),
  );
}

function refOf(key: string): { readonly namespace: string; readonly name: string } {
  const [namespace = '', name = ''] = key.split('/');
  return { namespace, name };
}

const answer = { directResponse: { status: 200 } };
const at = (...prefixes: string[]) => ({ match: prefixes.map((prefix) => ({ uri: { prefix } })) });
const to = (name: string, namespace?: string) => ({
  delegate: { name, ...(namespace === undefined ? {} : { namespace }) },
});
const root = (...http: object[]) => ({ hosts: ['a.example.com'], http });
const without = '(the route has no effect)';
const standsForItself = 'has hosts, so that it stands for itself and cannot be a delegate';

test.each<readonly [string, Objects, readonly string[]]>([
  ['one that gives routes', { 'ns/r': root(to('d')), 'ns/d': { http: [answer] } }, []],
  ['one of another namespace', { 'ns/r': root(to('d', 'team')), 'team/d': { http: [answer] } }, []],
  [
    'narrower conditions',
    { 'ns/r': root({ ...at('/a'), ...to('d') }), 'ns/d': { http: [{ ...at('/a/1', '/a/2'), ...answer }, answer] } },
    [],
  ],
  [
    'each route for another root',
    {
      'ns/r': root({ ...at('/a'), ...to('d') }),
      'ns/s': { ...root({ ...at('/b'), ...to('d') }), hosts: ['b.example.com'] },
      'ns/d': { http: [at('/a/1'), at('/b/1')].map((match) => ({ ...match, ...answer })) },
    },
    [],
  ],
  [
    'a name that is not there',
    { 'ns/r': root(answer, to('d', 'team')), 'ns/d': { ...root(answer), hosts: ['b.example.com'] } },
    [`ns/r invalid-reference spec.http[1].delegate: VirtualService team/d does not exist, or is not valid ${without}`],
  ],
  [
    'hosts',
    { 'ns/r': root(to('d')), 'ns/d': { ...root(answer), hosts: ['b.example.com'] } },
    [`ns/r invalid-reference spec.http[0].delegate: VirtualService ns/d ${standsForItself} ${without}`],
  ],
  [
    'itself',
    { 'ns/r': root(to('r')) },
    [
      `ns/r invalid-reference spec.http[0].delegate: VirtualService ns/r ${standsForItself} ` +
        '(the route has no effect: delegates lead in a circle)',
    ],
  ],
  [
    'a circle of three',
    {
      'ns/r': root(to('s')),
      'ns/s': { ...root(to('t')), hosts: ['s.example.com'] },
      'ns/t': { ...root(to('r')), hosts: ['t.example.com'] },
    },
    ['r s', 's t', 't r'].map((pair) => {
      const [from = '', next = ''] = pair.split(' ');
      return (
        `ns/${from} invalid-reference spec.http[0].delegate: VirtualService ns/${next} ${standsForItself} ` +
        '(the route has no effect: delegates lead in a circle)'
      );
    }),
  ],
  [
    'one that is private to another namespace',
    { 'ns/r': root(to('d', 'team')), 'team/d': { exportTo: ['.'], http: [answer] } },
    [`ns/r invalid-reference spec.http[0].delegate: VirtualService team/d is not exported to namespace ns ${without}`],
  ],
  [
    'wider and other conditions only',
    {
      'ns/r': root({ ...at('/a/b'), ...to('d') }),
      'ns/d': { http: [at('/a'), at('/a/b/c', '/c')].map((match) => ({ ...match, ...answer })) },
    },
    [
      'ns/r no-effect spec.http[0].delegate: no route of VirtualService ns/d lies within the conditions of this one ' +
        '(each condition there has to be as narrow as one here)',
      'ns/d no-effect spec.http[0]: its conditions lie within those of no route that delegates here',
      'ns/d no-effect spec.http[1]: its conditions lie within those of no route that delegates here',
    ],
  ],
  [
    'a gateway of another namespace under the same short name',
    {
      'ns/r': root({ match: [{ gateways: ['mesh', 'team/gw'] }], ...to('d', 'team') }),
      'team/d': { http: [['gw'], ['other']].map((gateways) => ({ match: [{ gateways }], ...answer })) },
    },
    ['team/d no-effect spec.http[1]: its conditions lie within those of no route that delegates here'],
  ],
  [
    'nobody',
    { 'ns/d': { http: [answer] } },
    ['ns/d no-effect spec: it has no hosts, and no VirtualService delegates to it'],
  ],
])('%s', (_, objects, expected) => {
  expect(findingsOf(objects)).toEqual(expected);
});

test('without exportTo the mesh’s default decides', () => {
  const objects = { 'ns/r': root(to('d', 'team')), 'team/d': { http: [answer] } };
  const defaultVirtualServiceExportTo = ['.'];
  expect(findingsOf(objects)).toEqual([]);
  expect(findingsOf(objects, { ...defaultMeshConfig, defaultVirtualServiceExportTo })).toEqual([
    expect.stringContaining('is not exported to namespace ns'),
  ]);
});

test('conditions that multiply are bounded', () => {
  const many = (n: number) => at(...Array.from({ length: n }, (_, i) => `/${i}`));
  const leaf = { http: [{ ...many(100), ...answer }] };
  const objects = { 'ns/r': root({ ...many(150), ...to('d') }, { ...many(60), ...to('d') }, to('d')), 'ns/d': leaf };
  expect(findingsOf(objects)).toEqual([
    'ns/r invalid-reference spec.http[1].delegate: VirtualService ns/d would bring the conditions from delegates to ' +
      `more than 20000 ${without}`,
  ]);
});

test('a long chain is not followed to its end', () => {
  const chain = Array.from({ length: 3_000 }, (_, i) => [
    `ns/v${i}`,
    { hosts: [`h${i}.example.com`], http: [to(`v${(i + 1) % 3_000}`)] },
  ]);
  const { objects, around } = worldOf(Object.fromEntries(chain), defaultMeshConfig);
  let asked = 0;
  const get: Surroundings['get'] = (kind, key) => {
    asked++;
    return around.get(kind, key);
  };
  expect(objects.flatMap((object) => relate(object, { ...around, get }))).toHaveLength(3_000);
  expect(asked).toBeLessThan(400_000);
});
