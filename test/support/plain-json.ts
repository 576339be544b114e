// Any JSON value but for members named `__proto__`: libraries that judge patches protect prototypes and leave those out.
import fc from 'fast-check';

/** JSON values of at most this depth. */
export function plainJson(maxDepth: number): fc.Arbitrary<unknown> {
  return fc.jsonValue({ maxDepth }).filter((value) => !JSON.stringify(value).includes('__proto__'));
}
