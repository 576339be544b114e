// Reading objects: never throws, never aliases or changes its input, and reads its own output to the same.

import { expect, test } from 'vitest';
import { checkObject } from '../../config/check.ts';
import type { KindDef } from '../../config/kinds/kind.ts';
import { kindNames, kinds } from '../../config/kinds/kinds.ts';
import { validateObject } from '../../config/validate.ts';
import { fc } from '../support/property.ts';

/** JSON values, with keys and texts that schemas, prototypes and parsers care about. */
const word = fc.oneof(
  fc.constantFrom(
    ...['__proto__', 'constructor', 'toString', 'hosts', 'http', 'match', 'route', 'servers', 'tls', 'port', 'host'],
    ...['5s', '-1', '1e999', '*', '', 'v1', '(', '~/x', 'outbound_.80_._.a.b'],
  ),
  fc.string({ maxLength: 12 }),
);
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    fc.oneof(word, fc.integer(), fc.double(), fc.boolean(), fc.constant(null)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(word, tie('value'), { maxKeys: 5 }),
  ),
})).value;

/** A value that begins as the schema has it, and may leave it anywhere. */
function alike(schema: unknown, depth = 0): fc.Arbitrary<unknown> {
  const { properties, items, patternProperties, enum: names, type } = schema as Record<string, never>;
  if (depth > 6) return json;
  const within = () => {
    if (properties !== undefined) {
      const fields = Object.entries(properties).map(([name, field]) => [name, fc.option(fc.constant(field))] as const);
      return fc.record(Object.fromEntries(fields)).chain((chosen) =>
        fc.record(
          Object.fromEntries(
            Object.entries(chosen)
              .filter(([, field]) => field !== null)
              .slice(0, 6)
              .map(([name, field]) => [name, alike(field, depth + 1)]),
          ),
        ),
      );
    }
    if (items !== undefined) return fc.array(alike(items, depth + 1), { maxLength: 3 });
    if (patternProperties !== undefined) {
      return fc.dictionary(word, alike(Object.values(patternProperties)[0], depth + 1), { maxKeys: 3 });
    }
    if (names !== undefined) return fc.constantFrom(...(names as string[]));
    if (type === 'boolean') return fc.boolean();
    if (type === 'integer' || type === 'number') return fc.oneof(fc.integer({ min: -2, max: 70000 }), fc.double());
    return word;
  };
  return fc.oneof({ weight: 12, arbitrary: within() }, { weight: 1, arbitrary: json });
}

const object = fc.constantFrom(...kindNames).chain((kind) => {
  const def: KindDef = kinds[kind];
  const apiVersion = def.group === '' ? def.versions[0] : `${def.group}/${def.versions[0]}`;
  return alike(def.body).map((body) => ({
    ...(typeof body === 'object' ? body : {}),
    apiVersion,
    kind,
    metadata: { name: 'a' },
  }));
});

test('any JSON value gets an answer', () => {
  fc.assert(
    fc.property(json, (raw) => {
      const { object: read, diagnostics } = checkObject(raw);
      expect(read !== undefined || diagnostics.length > 0).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test('any object of a kind is either refused with a reason, or read to something that is read to the same', () => {
  fc.assert(
    fc.property(object, fc.constantFrom('error', 'warning', 'ignore'), (raw, unknown) => {
      const before = structuredClone(raw);
      const first = checkObject(raw, { unknown });
      expect(raw).toEqual(before);
      if (first.object === undefined) {
        expect(first.diagnostics.some(({ severity }) => severity === 'error')).toBe(true);
        return;
      }
      const second = checkObject(first.object);
      expect(second.diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
      expect(second.object).toEqual(first.object);
    }),
    { numRuns: 2000 },
  );
});

test('rules never throw, and say where', () => {
  fc.assert(
    fc.property(object, (raw) => {
      for (const { path, message } of validateObject(raw, { unknown: 'ignore' })) {
        expect(path).toBeDefined();
        expect(message).not.toBe('');
      }
    }),
    { numRuns: 3000 },
  );
});
