// Reads a JSON value by a kind's schema: what protobuf's JSON mapping accepts becomes a typed value, the rest findings.
import type { TSchema } from 'typebox';
import { type Diagnostic, type DiagnosticCode, errorOf, type Severity } from './diagnostic.ts';
import { parseDuration } from './duration.ts';
import { closestName } from './suggestion.ts';

/** Where findings go, and how strict and how deep the reading is. */
export interface Reading {
  readonly findings: Diagnostic[];
  readonly unknown: 'error' | 'warning' | 'ignore';
  /** Findings beyond this number are dropped. */
  readonly maxFindings: number;
  /** Values nested deeper are refused. */
  readonly maxDepth: number;
}

/** Stands for a value that could not be read; findings say why. */
export const unreadable: unique symbol = Symbol('unreadable');

/** The keywords of our schemas that the reading looks at; see kinds/field.ts, which writes them. */
interface Keywords {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly numbers?: readonly string[];
  readonly format?: string;
  readonly keyFormat?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly deprecated?: boolean;
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, TSchema>>;
  readonly items?: TSchema;
  readonly anyOf?: readonly TSchema[];
  readonly unknownFields?: 'drop' | 'warn';
  readonly oneofs?: readonly (readonly string[])[];
  readonly kept?: readonly string[];
  readonly dropped?: readonly string[];
}

/**
 * Reads `value` by `schema`. Field names may be in camel case or, as in the .proto files, in snake case; numbers may be
 * strings; enum values may be numbers; null means absent (https://protobuf.dev/programming-guides/json/, read with the
 * leniency of golang/protobuf's jsonpb, which Istio uses). The result is made of new objects that hold only declared
 * fields under their own names; it never aliases the input. Never throws.
 */
export function readValue(reading: Reading, schema: TSchema, value: unknown, path: string, depth = 0): unknown {
  const keywords = schema as Keywords;
  if (depth > reading.maxDepth) return refuse(reading, 'invalid-value', `nested deeper than ${reading.maxDepth}`, path);
  if (keywords.properties !== undefined) return readMessage(reading, keywords, value, path, depth);
  if (keywords.patternProperties !== undefined) return readMap(reading, keywords, value, path, depth);
  if (keywords.items !== undefined) return readList(reading, keywords.items, value, path, depth);
  if (keywords.enum !== undefined) return readEnum(reading, keywords, value, path);
  if (keywords.anyOf !== undefined) return readIntOrText(reading, value, path);
  switch (keywords.type) {
    case 'string':
      return readText(reading, keywords, value, path);
    case 'boolean':
      if (value === null) return false;
      return typeof value === 'boolean' ? value : wrongType(reading, 'true or false', value, path);
    case 'integer':
    case 'number':
      return readNumber(reading, keywords, value, path);
    case undefined:
      return readAnything(reading, value, path, depth);
    default:
      throw new Error(`schema type ${keywords.type} is not read`);
  }
}

/** Adds a finding, unless there are too many. */
export function report(
  reading: Reading,
  severity: Severity,
  code: DiagnosticCode,
  message: string,
  path: string,
  help?: string,
): void {
  if (reading.findings.length >= reading.maxFindings) return;
  reading.findings.push({ ...errorOf(code, message, { path, ...(help === undefined ? {} : { help }) }), severity });
}

/** The path of a field or list element: `a.b`, `a[0]`, `a["odd key"]`. */
export function pathTo(path: string, key: string | number): string {
  if (typeof key === 'number') return `${path}[${key}]`;
  const name = key.length > 100 ? `${key.slice(0, 100)}…` : key;
  if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(key)) return `${path}[${JSON.stringify(name)}]`;
  return path === '' ? name : `${path}.${name}`;
}

function refuse(reading: Reading, code: DiagnosticCode, message: string, path: string, help?: string) {
  report(reading, 'error', code, message, path, help);
  return unreadable;
}

function wrongType(reading: Reading, wanted: string, value: unknown, path: string) {
  return refuse(reading, 'wrong-type', `must be ${wanted}, not ${nameType(value)}`, path);
}

function nameType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readMessage(reading: Reading, keywords: Keywords, value: unknown, path: string, depth: number): unknown {
  if (value === null) return {};
  if (!isObject(value)) return wrongType(reading, 'an object', value, path);
  const properties = keywords.properties ?? {};
  const result: Record<string, unknown> = {};
  let sound = true;
  for (const key of Object.keys(value)) {
    const name = fieldName(properties, key);
    if (name === undefined) {
      if (!reportUnknown(reading, keywords, key, path)) sound = false;
      continue;
    }
    const child = value[key];
    // The camel-case spelling wins over the snake-case one.
    if (child === null || child === undefined || (name !== key && Object.hasOwn(value, name))) continue;
    const schema = properties[name] as TSchema & Keywords;
    const read = readValue(reading, schema, child, pathTo(path, name), depth + 1);
    if (read === unreadable) sound = false;
    else if (read !== undefined) result[name] = read;
  }
  if (!keepOneOfEach(reading, keywords, result, path)) sound = false;
  for (const name of keywords.required ?? []) {
    if (Object.hasOwn(result, name) || !sound) continue;
    sound = false;
    report(reading, 'error', 'missing-field', `${name} must be set`, path);
  }
  return sound ? result : unreadable;
}

/**
 * Of fields that exclude each other protobuf keeps one: the last in the order of declaration. People's files may not
 * set two. Says whether the object may still be used.
 */
function keepOneOfEach(reading: Reading, keywords: Keywords, result: Record<string, unknown>, path: string): boolean {
  let sound = true;
  for (const group of keywords.oneofs ?? []) {
    const set = group.filter((name) => Object.hasOwn(result, name));
    if (set.length < 2) continue;
    const message = `${set.join(' and ')} exclude each other`;
    if (reading.unknown !== 'ignore') report(reading, reading.unknown, 'conflicting-fields', message, path);
    if (reading.unknown === 'error') sound = false;
    for (const name of set.slice(0, -1)) delete result[name];
  }
  return sound;
}

function fieldName(properties: Readonly<Record<string, TSchema>>, key: string): string | undefined {
  if (Object.hasOwn(properties, key)) return key;
  if (!key.includes('_')) return undefined;
  const camel = key.replace(/_+(.?)/g, (_, next: string) => next.toUpperCase());
  return Object.hasOwn(properties, camel) ? camel : undefined;
}

/** Says whether the object may still be used. */
function reportUnknown(reading: Reading, keywords: Keywords, key: string, path: string): boolean {
  if (keywords.unknownFields === 'drop') return true;
  const severity = keywords.unknownFields === 'warn' && reading.unknown === 'error' ? 'warning' : reading.unknown;
  if (severity === 'ignore') return true;
  const close = closestName(key, Object.keys(keywords.properties ?? {}));
  const help = close === undefined ? undefined : `did you mean ${close}?`;
  report(reading, severity, 'unknown-field', 'there is no such field', pathTo(path, key), help);
  return severity !== 'error';
}

function readMap(reading: Reading, keywords: Keywords, value: unknown, path: string, depth: number): unknown {
  if (!isObject(value)) return wrongType(reading, 'an object', value, path);
  const item = Object.values(keywords.patternProperties ?? {})[0] ?? {};
  const result: [string, unknown][] = [];
  let sound = true;
  for (const key of Object.keys(value)) {
    const at = pathTo(path, key);
    if (key === '__proto__') {
      sound = false;
      report(reading, 'error', 'invalid-value', 'is not a usable key', at);
      continue;
    }
    if (keywords.keyFormat === 'uint32' && !(/^(0|[1-9][0-9]{0,9})$/.test(key) && Number(key) <= 4294967295)) {
      sound = false;
      report(reading, 'error', 'wrong-type', 'the key must be a whole number from 0 to 4294967295', at);
      continue;
    }
    const read = readValue(reading, item, value[key], at, depth + 1);
    if (read === unreadable) sound = false;
    else if (isKept(keywords, key)) result.push([key, read]);
  }
  // Keys are the user's: without a prototype, a look-up finds only what the user wrote. An object that is made whole before
  // it loses its prototype takes a third of the memory of one that begins without.
  return sound ? Object.setPrototypeOf(Object.fromEntries(result), null) : unreadable;
}

function isKept({ kept, dropped }: Keywords, key: string): boolean {
  return (kept === undefined || kept.includes(key)) && dropped?.includes(key) !== true;
}

function readList(reading: Reading, item: TSchema, value: unknown, path: string, depth: number): unknown {
  if (!Array.isArray(value)) return wrongType(reading, 'a list', value, path);
  // Mapped, since a list that grows keeps room for sixteen more, and most lists of Kubernetes have one item.
  const result = value.map((element, index) => readValue(reading, item, element, pathTo(path, index), depth + 1));
  return result.includes(unreadable) ? unreadable : result;
}

function readEnum(reading: Reading, keywords: Keywords, value: unknown, path: string): unknown {
  const names = keywords.enum ?? [];
  if (typeof value === 'string') {
    if (names.includes(value)) return value;
    const close = closestName(value, names);
    return refuse(
      reading,
      'invalid-value',
      `must be one of ${names.join(', ')}`,
      path,
      close === undefined ? undefined : `did you mean ${close}?`,
    );
  }
  if (value === null) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || Math.abs(value) > 2147483647) {
    return wrongType(reading, `one of ${names.join(', ')}`, value, path);
  }
  const name = keywords.numbers?.[value];
  if (name !== undefined && name !== '') return name;
  // Enums are open in proto3: a number without a name is legal and means none of the names.
  if (reading.unknown === 'error') {
    return refuse(reading, 'invalid-value', `${value} is not the number of any of ${names.join(', ')}`, path);
  }
  return undefined;
}

function readIntOrText(reading: Reading, value: unknown, path: string): unknown {
  if (typeof value === 'string' || Number.isInteger(value)) return value;
  return wrongType(reading, 'a whole number or a string', value, path);
}

function readText(reading: Reading, keywords: Keywords, value: unknown, path: string): unknown {
  if (value === null && keywords.format !== 'duration') return '';
  if (typeof value !== 'string') {
    const help = typeof value === 'number' || typeof value === 'boolean' ? 'write it in quotes' : undefined;
    return refuse(reading, 'wrong-type', `must be a string, not ${nameType(value)}`, path, help);
  }
  if (keywords.format === 'duration' && parseDuration(value) === undefined) {
    return refuse(reading, 'invalid-value', 'is not a duration', path, 'such as 500ms, 10s or 1h30m');
  }
  if (keywords.format === 'byte' && !isBase64(value)) {
    return refuse(reading, 'invalid-value', 'is not base64', path);
  }
  return value;
}

function isBase64(text: string): boolean {
  const bare = text.replace(/[\r\n]/g, '');
  return bare.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(bare);
}

const jsonNumber = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;

function readNumber(reading: Reading, keywords: Keywords, value: unknown, path: string): unknown {
  if (value === null) return 0;
  const whole = keywords.type === 'integer';
  const wanted = whole ? 'a whole number' : 'a number';
  const number = typeof value === 'string' ? numberOfText(value, whole) : value;
  if (typeof number !== 'number') return wrongType(reading, wanted, value, path);
  if (whole && !Number.isInteger(number)) return refuse(reading, 'wrong-type', `must be ${wanted}`, path);
  const { minimum, maximum } = keywords;
  if ((minimum !== undefined && number < minimum) || (maximum !== undefined && number > maximum)) {
    const range = maximum === undefined ? `at least ${minimum}` : `from ${minimum} to ${maximum}`;
    return refuse(reading, 'invalid-value', `must be ${range}`, path);
  }
  return number;
}

function numberOfText(text: string, whole: boolean): number | undefined {
  if (!whole && /^(NaN|-?Infinity)$/.test(text)) return Number(text);
  const form = whole ? /^-?(0|[1-9][0-9]{0,19})$/ : jsonNumber;
  return text.length <= 400 && form.test(text) ? Number(text) : undefined;
}

/** Copies any JSON value, within the bounds of depth and key names. */
function readAnything(reading: Reading, value: unknown, path: string, depth: number): unknown {
  if (Array.isArray(value)) return readList(reading, {}, value, path, depth);
  if (isObject(value)) return readMap(reading, {}, value, path, depth);
  if (['string', 'number', 'boolean', 'undefined'].includes(typeof value) || value === null) return value;
  return wrongType(reading, 'a JSON value', value, path);
}
