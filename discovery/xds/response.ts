// Builds responses by joining resource frames that were serialised once: one header, the shared bytes, one nonce.
import { createHash } from 'node:crypto';
import type { EncodedResource } from '../resource.ts';

/** A response ready for the wire. Shared by all streams that are owed the same. */
export interface Message {
  readonly typeUrl: string;
  /** The message itself. */
  readonly bytes: Buffer;
  /** The message behind its gRPC header, in the same memory: what goes onto the stream without another copy. */
  readonly framed: Buffer;
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

/** envoy.service.discovery.v3.DeltaDiscoveryResponse. */
export function encodeDelta(parts: ResponseParts): Message {
  const version = contentVersion(parts);
  const fields: Field[] = [textField(tagOf(1), version), textField(tagOf(4), parts.typeUrl)];
  for (const resource of parts.resources) {
    const inner = [
      textField(tagOf(3), resource.name),
      textField(tagOf(1), resource.version),
      bytesField(tagOf(2), resource.any),
    ];
    fields.push(nestedField(tagOf(2), inner));
  }
  for (const name of parts.removed) fields.push(textField(tagOf(6), name));
  fields.push(textField(tagOf(5), parts.nonce));
  if (parts.controlPlane !== undefined) fields.push(nestedField(tagOf(7), [textField(tagOf(1), parts.controlPlane)]));
  return messageOf(parts, version, fields);
}

/** envoy.service.discovery.v3.DiscoveryResponse. */
export function encodeSotw(parts: ResponseParts): Message {
  const version = contentVersion(parts);
  const fields: Field[] = [textField(tagOf(1), version), textField(tagOf(4), parts.typeUrl)];
  for (const resource of parts.resources) fields.push(bytesField(tagOf(2), resource.any));
  fields.push(textField(tagOf(5), parts.nonce));
  if (parts.controlPlane !== undefined) fields.push(nestedField(tagOf(6), [textField(tagOf(1), parts.controlPlane)]));
  return messageOf({ ...parts, removed: [] }, version, fields);
}

function contentVersion({ resources, removed }: ResponseParts): string {
  const hash = createHash('sha1');
  for (const { version } of resources) hash.update(version);
  for (const name of removed) hash.update(`\u0000${name}`);
  return hash.digest('base64url').slice(0, 22);
}

const frameHeaderSize = 5;

// A length-delimited field before it is written; sizes are known first, so that one buffer takes everything.
interface Field {
  readonly tag: number;
  readonly size: number;
  readonly value: Uint8Array | string | readonly Field[];
}

function tagOf(field: number): number {
  return (field << 3) | 2;
}

function textField(tag: number, value: string): Field {
  return { tag, size: Buffer.byteLength(value), value };
}

function bytesField(tag: number, value: Uint8Array): Field {
  return { tag, size: value.length, value };
}

function nestedField(tag: number, fields: readonly Field[]): Field {
  return { tag, size: sizeOf(fields), value: fields };
}

function sizeOf(fields: readonly Field[]): number {
  let size = 0;
  for (const field of fields) size += 1 + varintSize(field.size) + field.size;
  return size;
}

function messageOf(parts: ResponseParts, version: string, fields: readonly Field[]): Message {
  const size = sizeOf(fields);
  const framed = Buffer.allocUnsafeSlow(size + frameHeaderSize);
  // Not compressed; length (gRPC over HTTP/2, "Length-Prefixed-Message").
  framed[0] = 0;
  framed.writeUInt32BE(size, 1);
  const bytes = framed.subarray(frameHeaderSize);
  writeFields(bytes, 0, fields);
  const { typeUrl, nonce, resources, removed } = parts;
  return { typeUrl, bytes, framed, nonce, version, resources, removed };
}

function writeFields(out: Buffer, start: number, fields: readonly Field[]): number {
  let at = start;
  for (const { tag, size, value } of fields) {
    out[at++] = tag;
    at = writeVarint(out, at, size);
    if (typeof value === 'string') at += out.write(value, at, 'utf8');
    else if (value instanceof Uint8Array) {
      out.set(value, at);
      at += size;
    } else at = writeFields(out, at, value);
  }
  return at;
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) size++;
  return size;
}

function writeVarint(out: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest > 127) {
    out[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  out[at++] = rest;
  return at;
}
