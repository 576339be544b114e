// The difference of two pods as a JSON Patch (RFC 6902), short and without moves.
import { isObject, sameJson } from './json.ts';

/** One operation of a JSON Patch. */
export type PatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/**
 * Operations that turn `before` into `after`. Objects are compared by member. Lists are compared from both ends, so
 * that items put before, after or among others are additions; what lies between differs is replaced item by item.
 */
export function createPatch(before: unknown, after: unknown): readonly PatchOperation[] {
  const operations: PatchOperation[] = [];
  compare(before, after, '', operations);
  return operations;
}

function compare(before: unknown, after: unknown, path: string, out: PatchOperation[]): void {
  if (isObject(before) && isObject(after)) compareObjects(before, after, path, out);
  else if (Array.isArray(before) && Array.isArray(after)) compareLists(before, after, path, out);
  else if (!sameJson(before, after)) out.push({ op: 'replace', path, value: after });
}

function compareObjects(
  before: { readonly [key: string]: unknown },
  after: { readonly [key: string]: unknown },
  path: string,
  out: PatchOperation[],
): void {
  for (const key of Object.keys(before)) {
    if (!Object.hasOwn(after, key) || after[key] === undefined)
      out.push({ op: 'remove', path: `${path}/${escape(key)}` });
  }
  for (const [key, value] of Object.entries(after)) {
    if (value === undefined) continue;
    const at = `${path}/${escape(key)}`;
    if (Object.hasOwn(before, key)) compare(before[key], value, at, out);
    else out.push({ op: 'add', path: at, value });
  }
}

function compareLists(
  before: readonly unknown[],
  after: readonly unknown[],
  path: string,
  out: PatchOperation[],
): void {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && alike(before[head], after[head])) head++;
  let tail = 0;
  while (tail < shorter - head && alike(before[before.length - 1 - tail], after[after.length - 1 - tail])) tail++;
  const removed = before.length - head - tail;
  const added = after.length - head - tail;
  const replaced = Math.min(removed, added);
  // From the back to the front, so that no operation moves the place of a later one.
  for (let i = 0; i < tail; i++) {
    compare(before[before.length - 1 - i], after[after.length - 1 - i], `${path}/${before.length - 1 - i}`, out);
  }
  for (let i = removed - 1; i >= replaced; i--) out.push({ op: 'remove', path: `${path}/${head + i}` });
  for (let i = added - 1; i >= replaced; i--) {
    out.push({ op: 'add', path: `${path}/${head + replaced}`, value: after[head + i] });
  }
  for (let i = 0; i < head + replaced; i++) compare(before[i], after[i], `${path}/${i}`, out);
}

// Two containers, volumes or variables of one name are the same thing in two states.
function alike(a: unknown, b: unknown): boolean {
  if (isObject(a) && isObject(b) && typeof a['name'] === 'string') return a['name'] === b['name'];
  return sameJson(a, b);
}

function escape(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
