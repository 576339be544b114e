// The memory source: objects that the program itself provides, replaced as a whole.
import { isDeepStrictEqual } from 'node:util';
import type { AnyObject } from '../kinds/kinds.ts';
import { keyOf } from '../object.ts';
import type { ObjectChange, SourceSink } from './source.ts';

/** Objects set by the program. */
export class MemorySource {
  readonly #sink: SourceSink;
  readonly #now: () => number;
  #objects: ReadonlyMap<string, AnyObject> = new Map();

  constructor(sink: SourceSink, now: () => number) {
    this.#sink = sink;
    this.#now = now;
  }

  /** Replaces all objects; hands over only what differs. */
  set(objects: readonly AnyObject[]): void {
    const next = new Map(objects.map((object) => [`${object.kind}/${keyOf(object.metadata)}`, object]));
    const changes: ObjectChange[] = [];
    for (const [id, { kind, metadata }] of this.#objects) {
      if (!next.has(id)) changes.push({ kind, key: keyOf(metadata), object: undefined });
    }
    for (const [id, object] of next) {
      if (!isDeepStrictEqual(this.#objects.get(id), object))
        changes.push({ kind: object.kind, key: keyOf(object.metadata), object });
    }
    this.#objects = next;
    this.#sink.apply(changes);
    this.#sink.status({ synced: true, connected: true, since: this.#now() });
  }
}
