// Keeps the last built responses for a moment, so that streams which are owed the same get the very same bytes.
import type { EncodedResource } from '../resource.ts';
import type { Variant } from './request.ts';
import { deltaFrames, encodeDelta, encodeSotw, type Message, sotwFrames } from './response.ts';

/** What a message is built from; order matters. */
export interface Contents {
  readonly typeUrl: string;
  readonly variant: Variant;
  readonly resources: readonly EncodedResource[];
  readonly removed: readonly string[];
}

interface Entry {
  readonly contents: Contents;
  readonly message: Message;
}

/**
 * Bounded by bytes; the oldest goes first. A nonce belongs to a built message, not to a stream: a client only needs it
 * to differ from the nonce before, which `lastNonce` assures.
 */
export class MessageCache {
  readonly #entries = new Map<string, Entry>();
  readonly #frames = { delta: deltaFrames(), sotw: sotwFrames() };
  readonly #maxBytes: number;
  readonly #epoch: string;
  #bytes = 0;
  #serial = 0;
  /** Built and reused messages, for metrics and tests. */
  readonly counts = { built: 0, shared: 0 };

  /** `epoch` makes nonces of different servers differ. */
  constructor(epoch: string, maxBytes = 32 * 1024 * 1024) {
    this.#epoch = epoch;
    this.#maxBytes = maxBytes;
  }

  /** The message for these contents, built at most once while it is remembered. */
  messageOf(contents: Contents, lastNonce: string | undefined): Message {
    const key = roughKey(contents);
    const found = this.#entries.get(key);
    if (found !== undefined && sameContents(found.contents, contents) && found.message.nonce !== lastNonce) {
      this.counts.shared++;
      return found.message;
    }
    const message = this.build(contents);
    this.#remember(key, { contents, message });
    return message;
  }

  /** A message of its own, not remembered: for resources that no other stream may see. */
  build({ typeUrl, variant, resources, removed }: Contents, controlPlane?: string): Message {
    this.counts.built++;
    const nonce = `${this.#epoch}${(++this.#serial).toString(36)}`;
    const parts = { typeUrl, resources, removed, nonce, ...(controlPlane === undefined ? {} : { controlPlane }) };
    return variant === 'delta' ? encodeDelta(parts, this.#frames.delta) : encodeSotw(parts, this.#frames.sotw);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Forgets everything, when nobody is waiting for the same bytes any more. */
  clear(): void {
    this.#entries.clear();
    this.#frames.delta.clear();
    this.#frames.sotw.clear();
    this.#bytes = 0;
  }

  #remember(key: string, entry: Entry): void {
    const size = entry.message.size;
    this.#forget(key);
    if (size > this.#maxBytes) return;
    this.#entries.set(key, entry);
    this.#bytes += size;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#forget(oldest);
    }
  }

  #forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.message.size;
  }
}

// Not unique: a hit is compared element by element, which is cheap because equal resources are the same object.
function roughKey({ typeUrl, variant, resources, removed }: Contents): string {
  const first = resources[0];
  const last = resources[resources.length - 1];
  const ends = `${first?.name}@${first?.version}|${last?.name}@${last?.version}`;
  return `${variant}|${typeUrl}|${resources.length}|${ends}|${removed.length}|${removed[0]}`;
}

function sameContents(a: Contents, b: Contents): boolean {
  return (
    a.variant === b.variant &&
    a.typeUrl === b.typeUrl &&
    a.removed.length === b.removed.length &&
    (a.resources === b.resources ||
      (a.resources.length === b.resources.length &&
        a.resources.every((resource, i) => sameBytes(resource, b.resources[i])))) &&
    a.removed.every((name, i) => name === b.removed[i])
  );
}

function sameBytes(a: EncodedResource, b: EncodedResource | undefined): boolean {
  return a === b || (b !== undefined && a.version === b.version && a.name === b.name);
}
