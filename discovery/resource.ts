// A translated resource, encoded once: the bytes that every stream shares, and the version that its content gives it.
import { createHash, hash } from 'node:crypto';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** One xDS resource in its wire form. Equal content has an equal version, on every replica. */
export interface EncodedResource {
  readonly typeUrl: string;
  readonly name: string;
  /** Hash of the content (22 characters). */
  readonly version: string;
  /** Serialised google.protobuf.Any, an element of DiscoveryResponse.resources, in pieces that resources may share. */
  readonly pieces: readonly Uint8Array[];
  /** Bytes of all pieces. */
  readonly size: number;
}

/** Part of a serialised message that many resources have in common: it is in memory, and hashed, once. */
export interface SharedBytes {
  readonly bytes: Uint8Array;
  /** Hash of the bytes. */
  readonly hash: string;
}

/** Joins parts into what resources share. */
export function sharedBytes(parts: readonly Uint8Array[]): SharedBytes {
  const bytes = joinBytes(parts);
  return Object.freeze({ bytes, hash: hash('sha1', bytes, 'base64url') });
}

/** Wraps a serialised message. Given in parts, those that are shared stay as they are and the others are copied once. */
export function encodeResource(
  typeUrl: string,
  name: string,
  value: Uint8Array | readonly (Uint8Array | SharedBytes)[],
): EncodedResource {
  const parts = value instanceof Uint8Array ? [value] : value;
  const header = new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .string(typeUrl)
    .tag(2, WireType.LengthDelimited)
    .uint32(parts.reduce((total, part) => total + ('hash' in part ? part.bytes : part).length, 0))
    .finish();
  const all = [header, ...parts];
  const pieces = piecesOf(all);
  const size = pieces.reduce((total, piece) => total + piece.length, 0);
  return Object.freeze({ typeUrl, name, version: versionOf(pieces, all), pieces, size });
}

/** Joins neighbours that are not shared. */
function piecesOf(parts: readonly (Uint8Array | SharedBytes)[]): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let own: Uint8Array[] = [];
  const close = (): void => {
    if (own.length > 0) pieces.push(joinBytes(own));
    own = [];
  };
  for (const part of parts) {
    if ('hash' in part) {
      close();
      pieces.push(part.bytes);
    } else own.push(part);
  }
  close();
  // A list that grew has room for more; a copy has not.
  return pieces.slice();
}

/** The bytes decide, of shared ones by their hash. What is in one piece is hashed in one go. */
function versionOf(pieces: readonly Uint8Array[], parts: readonly (Uint8Array | SharedBytes)[]): string {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return textOfDigest(hash('sha1', only, 'buffer'));
  const all = createHash('sha1');
  for (const part of parts) all.update('hash' in part ? part.hash : part);
  return textOfDigest(all.digest());
}

/** A version: the first 128 bits of a hash. Text cut from a longer one would keep that one. */
export function textOfDigest(digest: Buffer): string {
  return digest.toString('base64url', 0, 16);
}

/** The google.protobuf.Any in one piece, for whoever wants to read it. */
export function anyBytesOf({ pieces }: Pick<EncodedResource, 'pieces'>): Uint8Array {
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : joinBytes(pieces);
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
