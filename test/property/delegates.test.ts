// Whatever VirtualServices delegate to whom: a route that gets nothing is told so, and only such a one.
import { expect, test } from 'vitest';
import type { VirtualService } from '../../config/kinds/virtual-service.ts';
import { defaultMeshConfig } from '../../config/mesh.ts';
import { keyOf } from '../../config/object.ts';
import { relate } from '../../config/relations/relations.ts';
import { surroundingsOf } from '../../config/relations/view.ts';
import { Store } from '../../config/store.ts';
import { validate } from '../../config/validate.ts';
import { virtualServices } from '../../discovery/model/route.ts';
import { randomOf } from '../support/random.ts';
import { graphOf } from '../support/world.ts';

const namespaces = ['a', 'b'];
const names = ['u', 'v', 'w', 'x'];

/** VirtualServices of few names and conditions, so that many meet. Routes are named after where they stand. */
function randomServices(seed: number): readonly VirtualService[] {
  const random = randomOf(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const condition = () => ({
    ...(random() < 0.7
      ? { uri: pick([{ prefix: '/a' }, { prefix: '/a/b' }, { exact: '/a/b' }, { regex: '/a.*' }]) }
      : {}),
    ...(random() < 0.2 ? { headers: { h: pick([{}, { exact: '1' }, { prefix: '1' }]) } } : {}),
    ...(random() < 0.2 ? { gateways: [pick(['mesh', 'gw', 'a/gw', 'gw.b.svc.cluster.local'])] } : {}),
    ...(random() < 0.1 ? { sourceNamespace: pick(namespaces) } : {}),
    ...(random() < 0.1 ? { port: pick([80, 81]) } : {}),
  });
  const route = (name: string, delegates: boolean) => ({
    name,
    ...(random() < 0.7 ? { match: Array.from({ length: 1 + Math.floor(random() * 2) }, condition) } : {}),
    ...(delegates
      ? { delegate: { name: pick(names), ...(random() < 0.5 ? { namespace: pick(namespaces) } : {}) } }
      : { directResponse: { status: 200 } }),
  });
  return namespaces.flatMap((namespace) =>
    names.flatMap((name) => {
      const isRoot = random() < 0.5;
      const { object } = validate({
        apiVersion: 'networking.istio.io/v1',
        kind: 'VirtualService',
        metadata: { name, namespace },
        spec: {
          ...(isRoot ? { hosts: [`${name}.${namespace}.example.com`], gateways: ['mesh', 'a/gw'] } : {}),
          ...(random() < 0.2 ? { exportTo: [pick(['.', '*', ...namespaces])] } : {}),
          http: Array.from({ length: 3 }, (_, i) =>
            route(`${namespace}.${name}.${i}`, random() < (isRoot ? 0.8 : 0.05)),
          ),
        },
      });
      return object === undefined ? [] : [object as VirtualService];
    }),
  );
}

test('findings and translation agree', () => {
  const seen = { given: 0, refused: 0, used: 0, unused: 0 };
  for (let seed = 1; seed <= 100; seed++) {
    const services = randomServices(seed);
    const store = new Store();
    const kind = 'VirtualService';
    store.sinkOf('test').apply(services.map((object) => ({ kind, key: keyOf(object.metadata), object })));
    const around = surroundingsOf(store, defaultMeshConfig, 'cluster.local');
    const graph = graphOf(
      services.map((object) => ({ ...object, metadata: { ...object.metadata } })),
      defaultMeshConfig,
    );
    const merged = services.flatMap((object) =>
      (graph.read(virtualServices, keyOf(object.metadata))?.http ?? []).map(({ name = '' }) => name.split('-')),
    );
    for (const object of services) {
      const key = keyOf(object.metadata);
      const paths = relate(object, around)
        .filter(({ code }) => ['invalid-reference', 'no-effect'].includes(code))
        .map(({ path = '' }) => path);
      const isRoot = (object.spec.hosts ?? []).length > 0;
      for (const [i, { name = '', delegate }] of (object.spec.http ?? []).entries()) {
        const of = `seed ${seed}, ${key}, route ${i}`;
        if (isRoot && delegate !== undefined) {
          const given = merged.some(([root, leaf]) => root === name && leaf !== undefined);
          expect(paths.includes(`spec.http[${i}].delegate`), of).toBe(!given);
          seen[given ? 'given' : 'refused']++;
        } else if (!isRoot) {
          const used = merged.some(([, leaf]) => leaf === name);
          if (used) expect(paths, of).not.toContain('spec');
          expect(used && paths.includes(`spec.http[${i}]`), of).toBe(false);
          const told = paths.includes('spec') || paths.includes(`spec.http[${i}]`);
          // Else those that delegate to it may not use it, and are told.
          if (!used && !told) expect(around.delegatingTo(key).length, of).toBeGreaterThan(0);
          seen[used ? 'used' : 'unused']++;
        }
      }
    }
  }
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(100);
});
