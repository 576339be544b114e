// Resources as the fields of a response, joined in runs that responses share: what many streams are sent is in memory once.
import { type EncodedResource, joinBytes } from '../resource.ts';

/** Resources of a run. Runs begin at multiples of it, so that lists which begin alike have runs in common. */
const runLength = 16;
/** Bytes from which a piece of a resource is one by itself, as the graph holds it. */
const standsAlone = 8 * 1024;
const defaultBytes = 16 * 1024 * 1024;

interface Run {
  readonly resources: readonly EncodedResource[];
  readonly bytes: Uint8Array;
}

/** The frames of one protocol variant. Runs are bounded by bytes; the oldest goes first. */
export class Frames {
  readonly #headerOf: (resource: EncodedResource) => Uint8Array;
  readonly #runs = new Map<string, Run>();
  readonly #maxBytes: number;
  #bytes = 0;

  /** `headerOf` gives what stands before a resource's Any in a response. */
  constructor(headerOf: (resource: EncodedResource) => Uint8Array, maxBytes = defaultBytes) {
    this.#headerOf = headerOf;
    this.#maxBytes = maxBytes;
  }

  /** `before`, the resources' fields and `after`, as pieces to be written one behind the other. */
  join(before: Uint8Array, resources: readonly EncodedResource[], after: Uint8Array): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    let small = [before];
    const add = (whole: Uint8Array): void => {
      if (small.length > 0) pieces.push(joinBytes(small));
      small = [];
      pieces.push(whole);
    };
    for (let at = 0; at < resources.length; ) {
      const run = at % runLength === 0 && at + runLength <= resources.length ? this.#runAt(resources, at) : undefined;
      const resource = resources[at] as EncodedResource;
      if (run !== undefined) {
        add(run);
        at += runLength;
        continue;
      }
      small.push(this.#headerOf(resource));
      for (const piece of resource.pieces) {
        if (piece.length >= standsAlone) add(piece);
        else small.push(piece);
      }
      at++;
    }
    small.push(after);
    pieces.push(joinBytes(small));
    return pieces;
  }

  /** Forgets the runs, when nobody is waiting for the same bytes any more. */
  clear(): void {
    this.#runs.clear();
    this.#bytes = 0;
  }

  #runAt(resources: readonly EncodedResource[], at: number): Uint8Array | undefined {
    const first = resources[at] as EncodedResource;
    const last = resources[at + runLength - 1] as EncodedResource;
    // Not unique: what is found is compared resource by resource.
    const key = `${first.typeUrl}|${first.version}|${last.version}`;
    const known = this.#runs.get(key);
    if (known?.resources.every((resource, i) => resource === resources[at + i])) {
      return known.bytes;
    }
    const members = resources.slice(at, at + runLength);
    if (members.some(({ size }) => size >= standsAlone)) return undefined;
    const bytes = joinBytes(members.flatMap((resource) => [this.#headerOf(resource), ...resource.pieces]));
    this.#remember(key, { resources: members, bytes });
    return bytes;
  }

  #remember(key: string, run: Run): void {
    this.#forget(key);
    this.#runs.set(key, run);
    this.#bytes += run.bytes.length;
    for (const oldest of this.#runs.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#forget(oldest);
    }
  }

  #forget(key: string): void {
    const run = this.#runs.get(key);
    if (run === undefined) return;
    this.#runs.delete(key);
    this.#bytes -= run.bytes.length;
  }
}
