// What a replica tells the others of the rejections it knows: one line of text, cut to the room that there is.
import { isKindName } from '../../config/kinds/kinds.ts';
import { parseRef } from '../../config/object.ts';
import {
  clip,
  type RejectedResource,
  type RejectionReport,
  rejectionLimits,
  roundedDown,
} from './rejected-resources.ts';

/** Bytes of all replicas' reports together, and of one: annotations of one object may be 256 KiB in all. */
const mostBytes = { together: 200_000, each: 20_000 } as const;
/** Bytes of a report without its resources, the name of its annotation included. */
const frameBytes = 200;

/** The bytes that a report may have among so many replicas that report. */
export function roomFor(replicas: number): number {
  return Math.min(mostBytes.each, Math.floor(mostBytes.together / Math.max(1, replicas)));
}

/** A report as one line of JSON of so many bytes at most; undefined where there is nothing to report. */
export function formatRejections({ resources, more }: RejectionReport, room: number): string | undefined {
  if (resources.length === 0) return undefined;
  let left = room - frameBytes;
  const told: string[] = [];
  for (const resource of resources) {
    const text = JSON.stringify(resource);
    left -= Buffer.byteLength(text) + 1;
    if (left < 0) break;
    told.push(text);
  }
  return `{"more":${roundedDown(more + resources.length - told.length)},"resources":[${told.join()}]}`;
}

/** Reads what `formatRejections` wrote; undefined for anything else. */
export function parseRejections(text: string): RejectionReport | undefined {
  if (text.length > mostBytes.each) return undefined;
  try {
    const { more, resources } = JSON.parse(text) as Readonly<Record<string, unknown>>;
    if (!isCount(more) || !Array.isArray(resources) || !resources.every(isResource)) return undefined;
    return { more, resources: resources.map(plain) };
  } catch {
    return undefined;
  }
}

function isResource(value: Partial<Record<keyof RejectedResource, unknown>> | null): value is RejectedResource {
  return (
    [value?.type, value?.name, value?.reason].every((each) => typeof each === 'string') &&
    [value?.proxies, value?.others].every(isCount) &&
    Array.isArray(value?.objects) &&
    value.objects.length <= rejectionLimits.objects &&
    value.objects.every((ref) => typeof ref === 'string' && isKindName(parseRef(ref)?.kind ?? ''))
  );
}

/** As this version makes them, whatever another one wrote. */
function plain({ type, name, reason, proxies, objects, others }: RejectedResource): RejectedResource {
  return { type: clip(type), name: clip(name), reason: clip(reason), proxies, objects, others };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
