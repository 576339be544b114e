// What the proxies of this replica reject, and which mesh objects each rejected resource is made of.
import { isKindName, type KindName, kinds } from '../../config/kinds/kinds.ts';
import { type ConfigObject, compareAge, compareText, keyOf, parseRef } from '../../config/object.ts';
import type { Rejection } from '../../discovery/xds/subscription.ts';
import type { ResourceType } from '../../discovery/xds-types.ts';

/** A stream, as far as its books tell what its client rejected. */
export interface RejectingStream {
  readonly channels: ReadonlyMap<ResourceType, { readonly sub: { readonly rejection: Rejection | undefined } }>;
}

/** A resource that proxies reject. Its texts are bounded and hold nothing that must not be told. */
export interface RejectedResource {
  readonly type: string;
  readonly name: string;
  /** The words of the first client, one line; empty where none may be told. */
  readonly reason: string;
  /** How many proxies of one replica reject it, as `roundedDown`. */
  readonly proxies: number;
  /** The mesh objects that it most likely owes that to, `Kind namespace/name`: those with raw configuration, then the youngest. */
  readonly objects: readonly string[];
  /** How many it is made of besides any one, as `roundedDown`. */
  readonly others: number;
}

/** What one replica knows. */
export interface RejectionReport {
  /** In the order of type and name. */
  readonly resources: readonly RejectedResource[];
  /** At least so many rejected resources are left out. */
  readonly more: number;
}

/** Bounds of a report: resources, objects of each, characters of a name or reason. */
export const rejectionLimits = { resources: 1_000, objects: 10, text: 300 } as const;
/** Characters of a client's message that are looked at. */
const longestMessage = 2_000;
/** Kinds that hand configuration to proxies as it is written: whatever proxies reject is most likely theirs. */
const rawKinds: ReadonlySet<string> = new Set(['EnvoyFilter', 'WasmPlugin', 'TrafficExtension']);

type FoundObject = Pick<ConfigObject, 'kind' | 'metadata'>;
type FindObject = (kind: KindName, key: string) => FoundObject | undefined;

interface Counted {
  readonly type: ResourceType;
  readonly name: string;
  readonly message: string;
  readonly sources: readonly string[];
  proxies: number;
}

/** What the clients of some streams reject of what is made of mesh objects. `find` gives the objects that there are. */
export function rejectedResources(streams: Iterable<RejectingStream>, find: FindObject): RejectionReport {
  const { counted, more } = collect(streams);
  const resources = counted.flatMap(({ type, name, message, sources, proxies }): readonly RejectedResource[] => {
    const objects = sources.flatMap((source) => meshObject(source, find)).sort(byLikelihood);
    // There is nobody to be told of it.
    if (objects.length === 0) return [];
    const resource: RejectedResource = {
      type,
      name: clip(name),
      reason: reasonOf(type, message),
      proxies: roundedDown(proxies),
      objects: objects.slice(0, rejectionLimits.objects).map(({ kind, metadata }) => `${kind} ${keyOf(metadata)}`),
      others: roundedDown(objects.length - 1),
    };
    return [resource];
  });
  return { resources, more };
}

/** Numbers above nine keep one digit, so that a push that is rejected by proxy after proxy says little new. */
export function roundedDown(n: number): number {
  if (n < 10) return n;
  const unit = 10 ** Math.floor(Math.log10(n));
  return Math.floor(n / unit) * unit;
}

/** A text without control characters, which must not reach a terminal, and no longer than may be told. */
export function clip(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  const plain = text.slice(0, longestMessage).replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ');
  return plain.length > rejectionLimits.text ? `${plain.slice(0, rejectionLimits.text)}…` : plain;
}

/** One name may be another resource for another proxy: what it is made of tells them apart. */
function collect(streams: Iterable<RejectingStream>): { readonly counted: readonly Counted[]; readonly more: number } {
  const found = new Map<string, Counted>();
  const beyond = new Set<string>();
  for (const { channels } of streams) {
    for (const [type, { sub }] of channels) {
      const message = sub.rejection?.message ?? '';
      for (const { name, sources } of sub.rejection?.resources ?? []) {
        const id = `${type} ${name} ${sources.join()}`;
        const known = found.get(id);
        if (known !== undefined) known.proxies++;
        else if (found.size < rejectionLimits.resources) found.set(id, { type, name, message, sources, proxies: 1 });
        else if (beyond.size < rejectionLimits.resources) beyond.add(id);
      }
    }
  }
  const counted = [...found].sort(([a], [b]) => compareText(a, b)).map(([, rejected]) => rejected);
  return { counted, more: roundedDown(beyond.size) };
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

/**
 * The client's words, without what it prints of the configuration: whoever may read one object need not be allowed to
 * read the others. Nothing is told of credentials.
 */
function reasonOf(type: ResourceType, message: string): string {
  if (type === 'secret') return '';
  const [line = ''] = message.split('\n', 1);
  const reason = line.slice(0, longestMessage).replace(/(?<=Proto constraint validation failed \(.*?\)): .*$/, '');
  return clip(reason.trim());
}
