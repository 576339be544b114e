// Strict, bounded reading of DER (ITU-T X.690): size, depth and element count are limited before anything is built.
import { isRefused, type Refusal, refused } from './refusal.ts';

/** One element; the buffers are views into the input. */
export interface DerElement {
  /** The identifier octet: class, constructed bit and number; multi-byte tags are refused. */
  readonly tag: number;
  /** Identifier, length and content. */
  readonly raw: Buffer;
  readonly content: Buffer;
  /** Empty for primitive elements. */
  readonly children: readonly DerElement[];
}

/** One element whose content was not looked into. */
export type ShallowElement = Omit<DerElement, 'children'>;

export interface DerLimits {
  readonly bytes: number;
  readonly depth: number;
  readonly elements: number;
}

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

const defaultLimits: DerLimits = { bytes: 64 * 1024, depth: 16, elements: 4000 };
const constructed = 0x20;

/** Reads exactly one element that fills `bytes`; trailing bytes, indefinite and non-minimal lengths are refused. */
export function parseDer(bytes: Buffer, limits: DerLimits = defaultLimits): DerElement | Refusal {
  if (bytes.length > limits.bytes) {
    return refused(`DER of ${bytes.length} bytes exceeds the limit of ${limits.bytes}`);
  }
  const budget = { elements: limits.elements };
  const element = readElement(bytes, limits.depth, budget);
  if (isRefused(element)) {
    return element;
  }
  return element.raw.length === bytes.length ? element : refused('DER is followed by trailing bytes');
}

/** The elements that follow each other in `bytes`, at most so many, without those inside them. */
export function elementsOf(bytes: Buffer, most: number): readonly ShallowElement[] | Refusal {
  const elements: ShallowElement[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (elements.length === most) {
      return refused('DER has too many elements');
    }
    const rest = bytes.subarray(at);
    const head = readHead(rest);
    if (isRefused(head)) {
      return head;
    }
    const end = head.start + head.length;
    elements.push({ tag: head.tag, raw: rest.subarray(0, end), content: rest.subarray(head.start, end) });
    at += end;
  }
  return elements;
}

/** The dotted form of an OBJECT IDENTIFIER's content; undefined when it is malformed or longer than 32 bytes. */
export function oidOf(element: DerElement | undefined): string | undefined {
  if (element === undefined || element.tag !== tags.oid || element.content.length === 0) {
    return undefined;
  }
  const { content } = element;
  const numbers: number[] = [];
  let value = 0;
  for (const [i, byte] of content.entries()) {
    if (i >= 32 || value > 0xffffff || (value === 0 && byte === 0x80)) {
      return undefined;
    }
    value = value * 128 + (byte & 0x7f);
    if ((byte & 0x80) === 0) {
      numbers.push(value);
      value = 0;
    } else if (i === content.length - 1) {
      return undefined;
    }
  }
  const [first = 0, ...rest] = numbers;
  const root = Math.min(2, Math.floor(first / 40));
  return [root, first - root * 40, ...rest].join('.');
}

/** The bytes of a BIT STRING without unused bits; undefined otherwise. */
export function bitsOf(element: ShallowElement | undefined): Buffer | undefined {
  return element?.tag === tags.bitString && element.content[0] === 0 ? element.content.subarray(1) : undefined;
}

/** A UTCTime or GeneralizedTime in the forms RFC 5280 section 4.1.2.5 allows, in milliseconds since 1970. */
export function timeOf(element: ShallowElement | undefined): number | undefined {
  const text = element?.content.toString('latin1') ?? '';
  const short = element?.tag === tags.utcTime && /^\d{12}Z$/.test(text);
  const long = element?.tag === tags.generalizedTime && /^\d{14}Z$/.test(text);
  if (!short && !long) {
    return undefined;
  }
  const digits = short ? `${Number(text.slice(0, 2)) < 50 ? '20' : '19'}${text}` : text;
  const at = (from: number, to: number) => digits.slice(from, to);
  const iso = `${at(0, 4)}-${at(4, 6)}-${at(6, 8)}T${at(8, 10)}:${at(10, 12)}:${at(12, 14)}Z`;
  const time = Date.parse(iso);
  return Number.isNaN(time) ? undefined : time;
}

function readElement(bytes: Buffer, depth: number, budget: { elements: number }): DerElement | Refusal {
  if (depth === 0) {
    return refused('DER is nested too deeply');
  }
  budget.elements -= 1;
  if (budget.elements < 0) {
    return refused('DER has too many elements');
  }
  const head = readHead(bytes);
  if (isRefused(head)) {
    return head;
  }
  const end = head.start + head.length;
  const content = bytes.subarray(head.start, end);
  const children = (head.tag & constructed) === 0 ? [] : readChildren(content, depth - 1, budget);
  return isRefused(children) ? children : { tag: head.tag, raw: bytes.subarray(0, end), content, children };
}

function readChildren(content: Buffer, depth: number, budget: { elements: number }): readonly DerElement[] | Refusal {
  const children: DerElement[] = [];
  for (let at = 0; at < content.length; ) {
    const child = readElement(content.subarray(at), depth, budget);
    if (isRefused(child)) {
      return child;
    }
    children.push(child);
    at += child.raw.length;
  }
  return children;
}

function readHead(bytes: Buffer): { readonly tag: number; readonly start: number; readonly length: number } | Refusal {
  const tag = bytes[0];
  const first = bytes[1];
  if (tag === undefined || first === undefined) {
    return refused('DER is truncated');
  }
  if ((tag & 0x1f) === 0x1f) {
    return refused('DER has a multi-byte tag');
  }
  let start = 2;
  let length = first;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 3) {
      return refused('DER has an indefinite or excessive length');
    }
    start += count;
    if (bytes.length < start) {
      return refused('DER is truncated');
    }
    length = bytes.readUIntBE(2, count);
    if (length < 0x80 || length < 2 ** (8 * (count - 1))) {
      return refused('DER has a length that is not minimal');
    }
  }
  return start + length > bytes.length ? refused('DER is truncated') : { tag, start, length };
}
