// How a Kubernetes source is doing, kind by kind and as a whole, told when it changes.
import { compareText } from '../object.ts';
import type { ReflectorStatus } from './reflector.ts';
import { type PartStatus, type SourceStatus, troubleOf } from './source.ts';

/** Takes what reflectors of these kinds report, and tells the whole, at once and after each change. `now` as Date.now. */
export function followHealth<K extends string>(
  kinds: readonly K[],
  now: () => number,
  tell: (status: SourceStatus) => void,
): (kind: K, status: ReflectorStatus) => void {
  const begun: PartStatus = { synced: false, connected: false, since: now() };
  const parts = new Map<K, PartStatus>([...kinds].sort(compareText).map((kind) => [kind, begun]));
  tell(wholeOf(parts));
  return (kind, { synced, connected, message }) => {
    const before = parts.get(kind) ?? begun;
    if (before.synced === synced && before.connected === connected && (before.message ?? '') === message) return;
    const since = before.connected === connected ? before.since : now();
    parts.set(kind, { synced, connected, since, ...(message === '' ? {} : { message }) });
    tell(wholeOf(parts));
  };
}

function wholeOf(parts: ReadonlyMap<string, PartStatus>): SourceStatus {
  const all = [...parts.values()];
  const lost = [...parts].filter(([, part]) => !part.connected);
  const message = troubleOf(Object.fromEntries(lost));
  return {
    synced: all.every((part) => part.synced),
    connected: lost.length === 0,
    since:
      lost.length === 0 ? Math.max(...all.map((part) => part.since)) : Math.min(...lost.map(([, part]) => part.since)),
    ...(message === '' ? {} : { message }),
    parts: Object.fromEntries(parts),
  };
}
