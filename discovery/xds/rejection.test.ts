// Which resources a NACK is about, on the forms Envoy writes.
import { describe, expect, test } from 'vitest';
import { encodeResource } from '../resource.ts';
import { rejectedOf } from './rejection.ts';

const names = ['outbound|80||a.b', 'outbound|80||a.b.c', '0.0.0.0_80', '0.0.0.0_8080', '80'];
const resources = names.map((name) => encodeResource('t', name, Buffer.from(name)));

describe('rejectedOf', () => {
  test.each<[string, readonly string[]]>([
    ['Error adding/updating cluster(s) outbound|80||a.b: no lb policy', ['outbound|80||a.b']],
    ['Error adding/updating cluster(s) outbound|80||a.b: x, outbound|80||a.b.c: y', names.slice(0, 2)],
    ["Error adding/updating listener(s) 0.0.0.0_80: error adding listener '0.0.0.0_80'", ['0.0.0.0_80']],
    ['Only unique values for domains are permitted. Duplicate entry of domain a:80 in route 80', ['80']],
    ['something went wrong', []],
  ])('%s', (message, expected) => {
    expect(rejectedOf(message, resources).map(({ name }) => name)).toEqual(expected);
  });

  test('the only resource of a response needs no name', () => {
    expect(rejectedOf('something went wrong', resources.slice(0, 1))).toHaveLength(1);
  });
});
