// The difference of two pods as a JSON Patch (RFC 6902), short and without moves.
import { isObject, sameJson } from './json.ts';

/** One operation of a JSON Patch. */
export type PatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/**
 * Operations that turn `before` into `after`. Objects are compared by member, lists of named things by name, so that
 * what is put before, after or among others is an addition; other lists are compared from both ends.
 */
export function createPatch(before: unknown, after: unknown): readonly PatchOperation[] {
  const operations: PatchOperation[] = [];
  compare(before, after, '', operations);
  return operations;
}

function compare(before: unknown, after: unknown, path: string, out: PatchOperation[]): void {
  // Injection shares with the pod what it does not change.
  if (before === after) return;
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
  const [old, now] = [namesOf(before), namesOf(after)];
  if (old === undefined || now === undefined || !isSameOrder(old, now)) compareEnds(before, after, path, out);
  else compareNamed({ before, old }, { after, now }, path, out);
}

/** Whether the names that both have stand in the same order. */
function isSameOrder(old: readonly string[], now: readonly string[]): boolean {
  const [inOld, inNow] = [new Set(old), new Set(now)];
  const [keptOld, keptNow] = [old.filter((name) => inNow.has(name)), now.filter((name) => inOld.has(name))];
  return keptOld.every((name, i) => name === keptNow[i]);
}

/** The items' names, where all have one and no two the same. */
function namesOf(list: readonly unknown[]): readonly string[] | undefined {
  const names = list.map((item) => (isObject(item) ? item['name'] : undefined));
  const isNamed = names.every((name): name is string => typeof name === 'string');
  return isNamed && new Set(names).size === names.length ? names : undefined;
}

// Things that stay keep their order: the others go first, from the back, and then each newcomer takes its place.
function compareNamed(
  { before, old }: { readonly before: readonly unknown[]; readonly old: readonly string[] },
  { after, now }: { readonly after: readonly unknown[]; readonly now: readonly string[] },
  path: string,
  out: PatchOperation[],
): void {
  const stays = new Set(now);
  const places = new Map(old.map((name, i) => [name, i]));
  for (let i = old.length - 1; i >= 0; i--) {
    if (!stays.has(old[i] ?? '')) out.push({ op: 'remove', path: `${path}/${i}` });
  }
  for (const [i, name] of now.entries()) {
    const at = places.get(name);
    if (at === undefined) out.push({ op: 'add', path: `${path}/${i}`, value: after[i] });
    else compare(before[at], after[i], `${path}/${i}`, out);
  }
}

function compareEnds(before: readonly unknown[], after: readonly unknown[], path: string, out: PatchOperation[]): void {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && sameJson(before[head], after[head])) head++;
  let tail = 0;
  while (tail < shorter - head && sameJson(before[before.length - 1 - tail], after[after.length - 1 - tail])) tail++;
  const removed = before.length - head - tail;
  const added = after.length - head - tail;
  const replaced = Math.min(removed, added);
  // From the back to the front, so that no operation moves the place of a later one.
  for (let i = removed - 1; i >= replaced; i--) out.push({ op: 'remove', path: `${path}/${head + i}` });
  for (let i = added - 1; i >= replaced; i--) {
    out.push({ op: 'add', path: `${path}/${head + replaced}`, value: after[head + i] });
  }
  for (let i = head; i < head + replaced; i++) compare(before[i], after[i], `${path}/${i}`, out);
}

function escape(key: string): string {
  return /[~/]/.test(key) ? key.replaceAll('~', '~0').replaceAll('/', '~1') : key;
}
