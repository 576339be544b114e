// Which objects stand behind what proxies reject, and what can be told of it in their status.
import { isKindName, type KindName, kinds } from '../../config/kinds/kinds.ts';
import { type ConfigObject, compareAge, compareText, keyOf, parseRef } from '../../config/object.ts';
import type { Rejection } from '../../discovery/xds/subscription.ts';
import type { ResourceType } from '../../discovery/xds-types.ts';

/** A stream, as far as its books tell what its client rejected. */
export interface RejectingStream {
  readonly channels: ReadonlyMap<ResourceType, { readonly sub: { readonly rejection: Rejection | undefined } }>;
}

type FoundObject = Pick<ConfigObject, 'kind' | 'metadata'>;
type FindObject = (kind: KindName, key: string) => FoundObject | undefined;

/** Rejected resources that are looked at. */
const mostResources = 1_000;
/** Objects that a rejected resource is told of: a route may rest on all VirtualServices of a mesh. */
const mostObjects = 10;
const mostText = 300;
/** Characters of a client's message that are looked at. */
const longestMessage = 2_000;
/** Kinds that hand configuration to proxies as it is written: whatever proxies reject is most likely theirs. */
const rawKinds: ReadonlySet<string> = new Set(['EnvoyFilter', 'WasmPlugin', 'TrafficExtension']);

interface Rejected {
  readonly type: ResourceType;
  readonly name: string;
  readonly message: string;
  readonly sources: readonly string[];
  proxies: number;
}

/**
 * For each mesh object, by `Kind namespace/name`, a sentence about the rejected resources that are made of it. Of the
 * objects behind a resource the most likely ones are named: those with raw configuration, then the youngest.
 */
export function rejectedObjects(streams: Iterable<RejectingStream>, find: FindObject): ReadonlyMap<string, string> {
  const found = new Map<string, Rejected[]>();
  const told = new Map<Rejected, number>();
  for (const rejected of collect(streams)) {
    const objects = rejected.sources.flatMap((source) => meshObject(source, find)).sort(byLikelihood);
    told.set(rejected, objects.length);
    for (const { kind, metadata } of objects.slice(0, mostObjects)) {
      const ref = `${kind} ${keyOf(metadata)}`;
      found.set(ref, [...(found.get(ref) ?? []), rejected]);
    }
  }
  return new Map([...found].map(([ref, all]) => [ref, sentenceOf(all, told)]));
}

function collect(streams: Iterable<RejectingStream>): readonly Rejected[] {
  const found = new Map<string, Rejected>();
  for (const { channels } of streams) {
    for (const [type, { sub }] of channels) {
      for (const { name, sources } of sub.rejection?.resources ?? []) {
        const id = `${type} ${name}`;
        const known = found.get(id);
        if (known !== undefined) known.proxies++;
        else if (found.size < mostResources)
          found.set(id, { type, name, message: sub.rejection?.message ?? '', sources, proxies: 1 });
      }
    }
  }
  return [...found].sort(([a], [b]) => compareText(a, b)).map(([, rejected]) => rejected);
}

function meshObject(source: string, find: FindObject): readonly FoundObject[] {
  const ref = parseRef(source);
  if (ref === undefined || !isKindName(ref.kind) || kinds[ref.kind].builtin) return [];
  const object = find(ref.kind, keyOf(ref));
  return object === undefined ? [] : [object];
}

function byLikelihood(a: FoundObject, b: FoundObject): number {
  return Number(rawKinds.has(b.kind)) - Number(rawKinds.has(a.kind)) || compareAge(b, a);
}

function sentenceOf(all: readonly Rejected[], behind: ReadonlyMap<Rejected, number>): string {
  const [first] = all;
  if (first === undefined) return '';
  const others = (behind.get(first) ?? 1) - 1;
  const shared = others === 0 ? '' : `, which is made of this object and ${count(others, 'other')},`;
  const more = all.length === 1 ? '' : `; so are ${count(all.length - 1, 'more resource')}`;
  return `${first.type} ${clip(first.name)}${shared} is rejected by ${count(first.proxies, 'proxy')}${reasonOf(first)}${more}`;
}

/**
 * The client's words, without what it prints of the configuration: whoever may read one object need not be allowed to
 * read the others. Nothing is told of credentials.
 */
function reasonOf({ type, message }: Rejected): string {
  if (type === 'secret') return '';
  const [line = ''] = message.split('\n', 1);
  const reason = line.slice(0, longestMessage).replace(/(?<=Proto constraint validation failed \(.*?\)): .*$/, '');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not reach a terminal
  return reason.trim() === '' ? '' : `: ${clip(reason.trim().replace(/[\u0000-\u001f\u007f-\u009f]/g, ' '))}`;
}

function clip(text: string): string {
  return text.length > mostText ? `${text.slice(0, mostText)}…` : text;
}

/** Numbers above nine are rounded down to one digit, so that a push that is rejected by proxy after proxy says little new. */
function count(n: number, what: string): string {
  const unit = 10 ** Math.floor(Math.log10(n));
  const rounded = Math.floor(n / unit) * unit;
  const plural = what === 'proxy' ? 'proxies' : `${what}s`;
  return n === 1 ? `1 ${what}` : n < 10 ? `${n} ${plural}` : `at least ${rounded} ${plural}`;
}
