// Reads typed values out of xDS node metadata, whose writers put numbers, booleans and lists into strings.
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { compareText } from '../../config/object.ts';

/** Node metadata as it came, with every reader tolerant of both the string form and the plain form. */
export interface Metadata {
  readonly raw: JsonObject;
}

/** A non-empty string; numbers and booleans are taken by their text. */
export function textOf({ raw }: Metadata, key: string): string | undefined {
  const value = Object.hasOwn(raw, key) ? raw[key] : undefined;
  if (typeof value === 'string') return value === '' ? undefined : value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

/** Istio's StringBool: `"true"`, `"1"` or a real boolean. */
export function flagOf(metadata: Metadata, key: string): boolean | undefined {
  const text = textOf(metadata, key);
  if (text === undefined) return undefined;
  return text === 'true' || text === '1';
}

/** Istio's StringList: one string with commas, or a real list. Empty items are left out. */
export function listOf(metadata: Metadata, key: string): readonly string[] {
  const value = Object.hasOwn(metadata.raw, key) ? metadata.raw[key] : undefined;
  const items = Array.isArray(value)
    ? value.filter((item): item is string => typeof item === 'string')
    : typeof value === 'string'
      ? value.split(',')
      : [];
  return items.map((item) => item.trim()).filter((item) => item !== '');
}

/** A map of strings; values of other types are left out. */
export function mapOf(metadata: Metadata, key: string): Readonly<Record<string, string>> {
  const value = Object.hasOwn(metadata.raw, key) ? metadata.raw[key] : undefined;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {};
  const entries = Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return Object.fromEntries(entries.sort(([a], [b]) => compareText(a, b)));
}

/** A port number, 1 to 65535. */
export function portOf(metadata: Metadata, key: string): number | undefined {
  const port = Number(textOf(metadata, key) ?? Number.NaN);
  return Number.isInteger(port) && port > 0 && port < 65536 ? port : undefined;
}

const unitMs: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3.6e6 };

/** A Go duration (`1h5m`, `30s`) in milliseconds. */
export function durationOf(metadata: Metadata, key: string): number | undefined {
  const text = textOf(metadata, key);
  if (text === undefined || text.length > 64 || !/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, , unit] of text.matchAll(/(\d+(\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
    total += Number(amount) * (unitMs[unit ?? ''] ?? 0);
  }
  return Math.round(total);
}

/** POD_PORTS: a JSON list of container ports inside a string, as a map of port names. */
export function namedPortsOf(metadata: Metadata, key: string): Readonly<Record<string, number>> | undefined {
  const value = Object.hasOwn(metadata.raw, key) ? metadata.raw[key] : undefined;
  const list = typeof value === 'string' ? parseJson(value) : value;
  if (!Array.isArray(list)) return undefined;
  const ports: [string, number][] = [];
  for (const item of list) {
    if (typeof item !== 'object' || item === null || Array.isArray(item)) continue;
    const { name, containerPort } = item;
    if (typeof name === 'string' && name !== '' && typeof containerPort === 'number') ports.push([name, containerPort]);
  }
  return ports.length === 0 ? undefined : Object.fromEntries(ports.sort(([a], [b]) => compareText(a, b)));
}

/** An object (or a string that holds one) as canonical JSON: keys sorted at every level. */
export function canonicalOf(metadata: Metadata, key: string): string | undefined {
  const value = Object.hasOwn(metadata.raw, key) ? metadata.raw[key] : undefined;
  const parsed = typeof value === 'string' ? parseJson(value) : value;
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined;
  return JSON.stringify(parsed, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => compareText(a, b)))
      : inner,
  );
}

/** Depth of nesting, counted up to `limit` + 1. */
export function depthOf(value: JsonValue, limit: number): number {
  if (typeof value !== 'object' || value === null || limit < 0) return 0;
  let deepest = 0;
  for (const inner of Array.isArray(value) ? value : Object.values(value)) {
    deepest = Math.max(deepest, depthOf(inner, limit - 1));
    if (deepest > limit) break;
  }
  return deepest + 1;
}

function parseJson(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}
