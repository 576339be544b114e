// Writing DER (ITU-T X.690): the few types that certificates need.
import { tags } from './der.ts';

/** One element: identifier octet, definite minimal length, content. */
export function element(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
}

/** A SEQUENCE of encoded elements. */
export function sequence(...children: readonly Buffer[]): Buffer {
  return element(tags.sequence, Buffer.concat(children));
}

/** A SET of one encoded element (DER would ask to sort more). */
export function setOf(child: Buffer): Buffer {
  return element(tags.set, child);
}

/** An INTEGER from an unsigned big-endian number. */
export function unsignedInteger(bytes: Buffer): Buffer {
  let at = 0;
  while (at < bytes.length - 1 && bytes[at] === 0) {
    at += 1;
  }
  const minimal = bytes.subarray(at);
  const negative = ((minimal[0] ?? 0) & 0x80) !== 0;
  return element(tags.integer, negative ? Buffer.concat([Buffer.from([0]), minimal]) : minimal);
}

/** An OBJECT IDENTIFIER from its dotted form. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((number) => base128(number));
  return element(tags.oid, Buffer.from(bytes));
}

/** A BIT STRING without unused bits. */
export function bitString(bytes: Buffer): Buffer {
  return element(tags.bitString, Buffer.concat([Buffer.from([0]), bytes]));
}

/** A named-bit list (X.690 section 11.2.2): trailing zero bits are cut off. `bits` counts from the left. */
export function namedBits(...bits: readonly number[]): Buffer {
  const last = Math.max(...bits);
  const bytes = Buffer.alloc(Math.floor(last / 8) + 1);
  for (const bit of bits) {
    const at = Math.floor(bit / 8);
    bytes[at] = (bytes[at] ?? 0) | (0x80 >> (bit % 8));
  }
  return element(tags.bitString, Buffer.concat([Buffer.from([7 - (last % 8)]), bytes]));
}

/** An OCTET STRING. */
export function octetString(bytes: Buffer): Buffer {
  return element(tags.octetString, bytes);
}

/** BOOLEAN TRUE. */
export const trueValue: Buffer = element(tags.boolean, Buffer.from([0xff]));

/** A UTF8String. */
export function utf8String(text: string): Buffer {
  return element(tags.utf8String, Buffer.from(text, 'utf8'));
}

/** A context-specific element, `[number]`. */
export function context(number: number, content: Buffer, kind: 'constructed' | 'primitive'): Buffer {
  return element(0x80 | (kind === 'constructed' ? 0x20 : 0) | number, content);
}

/** A time in whole seconds: UTCTime through 2049, GeneralizedTime after (RFC 5280 section 4.1.2.5). */
export function time(milliseconds: number): Buffer {
  const digits = `${new Date(milliseconds)
    .toISOString()
    .replace(/[^0-9]/g, '')
    .slice(0, 14)}Z`;
  return new Date(milliseconds).getUTCFullYear() < 2050
    ? element(tags.utcTime, Buffer.from(digits.slice(2)))
    : element(tags.generalizedTime, Buffer.from(digits));
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) {
    return Buffer.from([length]);
  }
  const count = length < 0x100 ? 1 : length < 0x10000 ? 2 : 3;
  const bytes = Buffer.alloc(1 + count);
  bytes[0] = 0x80 | count;
  bytes.writeUIntBE(length, 1, count);
  return bytes;
}

function base128(number: number): readonly number[] {
  const bytes = [number % 128];
  for (let rest = Math.floor(number / 128); rest > 0; rest = Math.floor(rest / 128)) {
    bytes.unshift(0x80 | (rest % 128));
  }
  return bytes;
}
