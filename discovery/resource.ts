// A translated resource, encoded once: the bytes that every stream shares, and the version that its content gives it.
import { createHash } from 'node:crypto';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** One xDS resource in its wire form. Equal content has an equal version, on every replica. */
export interface EncodedResource {
  readonly typeUrl: string;
  readonly name: string;
  /** Hash of the content (22 characters). */
  readonly version: string;
  /** Serialised google.protobuf.Any: an element of DiscoveryResponse.resources. */
  readonly any: Uint8Array;
}

/**
 * Wraps a serialised message. It may be given as parts that were serialised before and only have to be joined: they are
 * copied once, whatever their number.
 */
export function encodeResource(
  typeUrl: string,
  name: string,
  value: Uint8Array | readonly Uint8Array[],
): EncodedResource {
  const parts = value instanceof Uint8Array ? [value] : value;
  const size = parts.reduce((total, part) => total + part.length, 0);
  const header = new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .string(typeUrl)
    .tag(2, WireType.LengthDelimited)
    .uint32(size)
    .finish();
  const any = joinBytes([header, ...parts]);
  const version = createHash('sha1').update(any).digest('base64url').slice(0, 22);
  return Object.freeze({ typeUrl, name, version, any });
}

/** Equality of resources is equality of their versions: what early cut-off compares. */
export function sameResource(a: EncodedResource | undefined, b: EncodedResource | undefined): boolean {
  return (
    a === b ||
    (a !== undefined && b !== undefined && a.version === b.version && a.name === b.name && a.typeUrl === b.typeUrl)
  );
}

/** A length-delimited field as it stands on the wire, so that repeated fields can be cached one by one and joined. */
export function encodeField(number: number, value: Uint8Array): Uint8Array {
  return new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(value).finish();
}

/** Joins serialised parts. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const part of parts) size += part.length;
  // Every byte is written below, so that the zeros of a new array would be wasted.
  const joined = Buffer.allocUnsafeSlow(size);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
