// The one place where configuration from all sources comes together: objects by kind, their origins, their findings.
import type { Diagnostic } from './diagnostic.ts';
import type { AnyObject, KindName, ObjectOf } from './kinds/kinds.ts';
import { compareText, type Position } from './object.ts';
import type { ObjectChange, SourceSink, SourceStatus } from './sources/source.ts';

/** Called after objects changed; `changes` holds each changed object once, in its last state. */
export type StoreListener = (changes: readonly ObjectChange[]) => void;

/**
 * What is found of one unit (a file, an object) now, and was before: whole lists, of which at least one has entries. They
 * may be equal, where the unit was looked at again.
 */
export interface FindingsChange {
  readonly unit: string;
  readonly before: readonly Diagnostic[];
  readonly after: readonly Diagnostic[];
}

/** Objects of all sources. Listeners hear of changes at once; what was not changed is not repeated. */
export class Store {
  readonly #objects = new Map<KindName, Map<string, AnyObject>>();
  readonly #origins = new Map<string, Position>();
  readonly #findings = new Map<string, readonly Diagnostic[]>();
  readonly #sources = new Map<string, SourceStatus>();
  readonly #listeners = new Set<StoreListener>();
  readonly #statusListeners = new Set<() => void>();
  readonly #findingsListeners = new Set<(change: FindingsChange) => void>();

  /** The sink of one source; `name` tells sources apart in findings and status. */
  sinkOf(name: string): SourceSink {
    return {
      apply: (changes) => this.#apply(changes),
      report: (unit, diagnostics) => this.#report(name, unit, diagnostics),
      status: (status) => {
        this.#sources.set(name, status);
        for (const listener of this.#statusListeners) listener();
      },
    };
  }

  /** Hears of changes from now on; returns how to stop. */
  subscribe(listener: StoreListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Hears when a source's status changes. */
  onStatus(listener: () => void): () => void {
    this.#statusListeners.add(listener);
    return () => this.#statusListeners.delete(listener);
  }

  /** Hears of every report but those that nothing is found where nothing was. */
  onFindings(listener: (change: FindingsChange) => void): () => void {
    this.#findingsListeners.add(listener);
    return () => this.#findingsListeners.delete(listener);
  }

  /** One object. */
  get<K extends KindName>(kind: K, key: string): ObjectOf<K> | undefined {
    return this.#objects.get(kind)?.get(key) as ObjectOf<K> | undefined;
  }

  /** All objects of a kind by key, sorted. */
  list<K extends KindName>(kind: K): readonly ObjectOf<K>[] {
    const entries = [...(this.#objects.get(kind) ?? [])].sort(([a], [b]) => compareText(a, b));
    return entries.map(([, object]) => object as ObjectOf<K>);
  }

  /** All objects as changes that bring them about, in no order, as it is when they are gone through. */
  *entries(): Generator<ObjectChange> {
    for (const [kind, byKey] of this.#objects) for (const [key, object] of byKey) yield { kind, key, object };
  }

  /** How many objects of a kind there are. */
  count(kind: KindName): number {
    return this.#objects.get(kind)?.size ?? 0;
  }

  /** Where an object stands, if it came from a file. */
  originOf(kind: string, key: string): Position | undefined {
    return this.#origins.get(`${kind}\u0000${key}`);
  }

  /** All findings in force, in a stable order. */
  findings(): readonly Diagnostic[] {
    return [...this.#findings].sort(([a], [b]) => compareText(a, b)).flatMap(([, list]) => list);
  }

  /** Status by source name. */
  sources(): ReadonlyMap<string, SourceStatus> {
    return this.#sources;
  }

  /** Whether every source has read everything once. */
  get synced(): boolean {
    return this.#sources.size > 0 && [...this.#sources.values()].every((source) => source.synced);
  }

  #report(source: string, unit: string, after: readonly Diagnostic[]): void {
    const key = `${source}\u0000${unit}`;
    const before = this.#findings.get(key) ?? [];
    if (after.length === 0) this.#findings.delete(key);
    else this.#findings.set(key, after);
    if (before.length + after.length === 0) return;
    for (const listener of this.#findingsListeners) listener({ unit, before, after });
  }

  #apply(changes: readonly ObjectChange[]): void {
    for (const { kind, key, object, position } of changes) {
      let byKey = this.#objects.get(kind);
      if (byKey === undefined) {
        byKey = new Map();
        this.#objects.set(kind, byKey);
      }
      if (object === undefined) byKey.delete(key);
      else byKey.set(key, object);
      const origin = `${kind}\u0000${key}`;
      if (object === undefined || position === undefined) this.#origins.delete(origin);
      else this.#origins.set(origin, position);
    }
    if (changes.length > 0) for (const listener of this.#listeners) listener(changes);
  }
}
