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

/** What stands before a resource's Any in a response: made once for each resource, as it is the same in each response. */
export class ResourceHeaders {
  readonly #delta = new WeakMap<EncodedResource, Uint8Array>();
  readonly #sotw = new WeakMap<EncodedResource, Uint8Array>();

  /** Field `resources` holding a Resource: name, version, and last the field of the Any. */
  readonly delta = (resource: EncodedResource): Uint8Array => {
    let header = this.#delta.get(resource);
    if (header === undefined) {
      const { name, version, any } = resource;
      const inner = Buffer.concat([textField(3, name), textField(1, version), fieldHeader(2, any.length)]);
      header = Buffer.concat([fieldHeader(2, inner.length + any.length), inner]);
      this.#delta.set(resource, header);
    }
    return header;
  };

  /** Field `resources` holding the Any. */
  readonly sotw = (resource: EncodedResource): Uint8Array => {
    let header = this.#sotw.get(resource);
    if (header === undefined) {
      header = fieldHeader(2, resource.any.length);
      this.#sotw.set(resource, header);
    }
    return header;
  };
}

/** envoy.service.discovery.v3.DeltaDiscoveryResponse. */
export function encodeDelta(parts: ResponseParts, headers: ResourceHeaders): Message {
  const version = contentVersion(parts);
  const head = Buffer.concat([textField(1, version), textField(4, parts.typeUrl)]);
  const tail = [...parts.removed.map((name) => textField(6, name)), textField(5, parts.nonce)];
  if (parts.controlPlane !== undefined) tail.push(bytesField(7, textField(1, parts.controlPlane)));
  return messageOf(parts, version, head, headers.delta, Buffer.concat(tail));
}

/** envoy.service.discovery.v3.DiscoveryResponse. */
export function encodeSotw(parts: ResponseParts, headers: ResourceHeaders): Message {
  const version = contentVersion(parts);
  const head = Buffer.concat([textField(1, version), textField(4, parts.typeUrl)]);
  const tail = [textField(5, parts.nonce)];
  if (parts.controlPlane !== undefined) tail.push(bytesField(6, textField(1, parts.controlPlane)));
  return messageOf({ ...parts, removed: [] }, version, head, headers.sotw, Buffer.concat(tail));
}

function contentVersion({ resources, removed }: ResponseParts): string {
  let text = '';
  for (const { version } of resources) text += version;
  for (const name of removed) text += `\u0000${name}`;
  return createHash('sha1').update(text).digest('base64url').slice(0, 22);
}

const frameHeaderSize = 5;

function messageOf(
  { typeUrl, nonce, resources, removed }: ResponseParts,
  version: string,
  head: Buffer,
  headerOf: (resource: EncodedResource) => Uint8Array,
  tail: Buffer,
): Message {
  let size = head.length + tail.length;
  for (const resource of resources) size += headerOf(resource).length + resource.any.length;
  const framed = Buffer.allocUnsafeSlow(size + frameHeaderSize);
  // Not compressed; length (gRPC over HTTP/2, "Length-Prefixed-Message").
  framed[0] = 0;
  framed.writeUInt32BE(size, 1);
  framed.set(head, frameHeaderSize);
  let at = frameHeaderSize + head.length;
  for (const resource of resources) {
    const header = headerOf(resource);
    framed.set(header, at);
    framed.set(resource.any, at + header.length);
    at += header.length + resource.any.length;
  }
  framed.set(tail, at);
  return { typeUrl, bytes: framed.subarray(frameHeaderSize), framed, nonce, version, resources, removed };
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
