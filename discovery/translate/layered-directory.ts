// A directory made of a shared one and a client's own entries: many classes then share what is alike about them.
import type { Directory, ResourceRef } from './translator.ts';

/**
 * The entries of `shared` and then those of `own`, which must have no name in common. Costs the own ones only, where
 * copying would cost all of them for every class.
 */
export function layered(shared: Directory, own: Directory): Directory {
  return own.size === 0 ? shared : new LayeredDirectory(shared, own);
}

/** The two layers of a directory, where it has any: comparing them apart is cheaper, and often the same object. */
export function layersOf(directory: Directory): readonly [Directory, Directory] | undefined {
  return directory instanceof LayeredDirectory ? directory.layers : undefined;
}

/** Names that stand for another cell in `after` than in `before`, those without any included. Shared layers cost nothing. */
export function* changedNames(before: Directory, after: Directory): Generator<string> {
  if (before === after) return;
  const [old, now] = [layersOf(before), layersOf(after)];
  if (old !== undefined && now !== undefined && old[0] === now[0]) {
    yield* changedNames(old[1], now[1]);
    return;
  }
  for (const name of before.keys()) if (!after.has(name)) yield name;
  for (const [name, ref] of after) {
    const known = before.get(name);
    if (known !== ref && (known?.query !== ref.query || known.key !== ref.key)) yield name;
  }
}

class LayeredDirectory implements Directory {
  readonly #shared: Directory;
  readonly #own: Directory;

  constructor(shared: Directory, own: Directory) {
    this.#shared = shared;
    this.#own = own;
  }

  get layers(): readonly [Directory, Directory] {
    return [this.#shared, this.#own];
  }

  get size(): number {
    return this.#shared.size + this.#own.size;
  }

  get(name: string): ResourceRef | undefined {
    return this.#own.get(name) ?? this.#shared.get(name);
  }

  has(name: string): boolean {
    return this.#own.has(name) || this.#shared.has(name);
  }

  forEach(visit: (ref: ResourceRef, name: string, directory: Directory) => void): void {
    for (const [name, ref] of this) visit(ref, name, this);
  }

  *entries(): MapIterator<[string, ResourceRef]> {
    yield* this.#shared;
    yield* this.#own;
  }

  *keys(): MapIterator<string> {
    yield* this.#shared.keys();
    yield* this.#own.keys();
  }

  *values(): MapIterator<ResourceRef> {
    yield* this.#shared.values();
    yield* this.#own.values();
  }

  [Symbol.iterator](): MapIterator<[string, ResourceRef]> {
    return this.entries();
  }
}
