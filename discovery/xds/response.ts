// Builds responses by joining resource frames that were serialised once: one header, the shared bytes, one nonce.
import { hash } from 'node:crypto';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type EncodedResource, joinBytes, textOfDigest } from '../resource.ts';
import { Frames } from './frames.ts';

/** A response ready for the wire. Shared by all streams that are owed the same. */
export interface Message {
  readonly typeUrl: string;
  /** The message behind its gRPC header, in pieces: most of them stand in other messages too, and are never copied. */
  readonly pieces: readonly Uint8Array[];
  /** Bytes of the message itself. */
  readonly size: number;
  readonly nonce: string;
  /** Hash of what it carries (`version_info`, `system_version_info`). */
  readonly version: string;
  readonly resources: readonly EncodedResource[];
  readonly removed: readonly string[];
}

/** What a response is to carry. */
export interface ResponseParts {
  readonly typeUrl: string;
  readonly resources: readonly EncodedResource[];
  /** Names that no longer exist; only the incremental variant can say so. */
  readonly removed: readonly string[];
  readonly nonce: string;
  /** JSON that names the control plane; only debug clients read it. */
  readonly controlPlane?: string;
}

/** Frames for `encodeDelta`: field `resources` holding a Resource: name, version, and last the field of the Any. */
export function deltaFrames(): Frames {
  return new Frames(({ name, version, size }) => {
    const inner = new BinaryWriter()
      .tag(3, WireType.LengthDelimited)
      .string(name)
      .tag(1, WireType.LengthDelimited)
      .string(version)
      .tag(2, WireType.LengthDelimited)
      .uint32(size)
      .finish();
    return joinBytes([fieldHeader(2, inner.length + size), inner]);
  });
}

/** Frames for `encodeSotw`: field `resources` holding the Any. */
export function sotwFrames(): Frames {
  return new Frames(({ size }) => fieldHeader(2, size));
}

/** envoy.service.discovery.v3.DeltaDiscoveryResponse. */
export function encodeDelta(parts: ResponseParts, frames: Frames): Message {
  const version = contentVersion(parts);
  const head = Buffer.concat([textField(1, version), textField(4, parts.typeUrl)]);
  const tail = [...parts.removed.map((name) => textField(6, name)), textField(5, parts.nonce)];
  if (parts.controlPlane !== undefined) tail.push(bytesField(7, textField(1, parts.controlPlane)));
  return messageOf(parts, version, frames.join(framed(head), parts.resources, Buffer.concat(tail)));
}

/** envoy.service.discovery.v3.DiscoveryResponse. */
export function encodeSotw(parts: ResponseParts, frames: Frames): Message {
  const version = contentVersion(parts);
  const head = Buffer.concat([textField(1, version), textField(4, parts.typeUrl)]);
  const tail = [textField(5, parts.nonce)];
  if (parts.controlPlane !== undefined) tail.push(bytesField(6, textField(1, parts.controlPlane)));
  return messageOf({ ...parts, removed: [] }, version, frames.join(framed(head), parts.resources, Buffer.concat(tail)));
}

function contentVersion({ resources, removed }: ResponseParts): string {
  let text = '';
  for (const { version } of resources) text += version;
  for (const name of removed) text += `\u0000${name}`;
  return textOfDigest(hash('sha1', text, 'buffer'));
}

/** The message without its gRPC header, in one piece. */
export function bytesOf({ pieces }: Pick<Message, 'pieces'>): Buffer {
  return Buffer.concat(pieces).subarray(frameHeaderSize);
}

const frameHeaderSize = 5;

function framed(head: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(frameHeaderSize), head]);
}

function messageOf(parts: ResponseParts, version: string, pieces: readonly Uint8Array[]): Message {
  const { typeUrl, nonce, resources, removed } = parts;
  const size = pieces.reduce((total, piece) => total + piece.length, -frameHeaderSize);
  // Not compressed (0); length (gRPC over HTTP/2, "Length-Prefixed-Message"). The first piece is this message's own.
  const [first] = pieces;
  if (first !== undefined) new DataView(first.buffer, first.byteOffset).setUint32(1, size);
  return { typeUrl, pieces, size, nonce, version, resources, removed };
}

function textField(number: number, text: string): Buffer {
  return bytesField(number, Buffer.from(text));
}

function bytesField(number: number, value: Buffer): Buffer {
  return Buffer.concat([fieldHeader(number, value.length), value]);
}

// Tag of a length-delimited field, and the length (Protocol Buffers, "Message Structure").
function fieldHeader(number: number, length: number): Buffer {
  const bytes = [(number << 3) | 2];
  let rest = length;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}
