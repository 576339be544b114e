// Checks JSON against Envoy's protobuf types, as the proxy's own reader would, without building messages.
import { type DescEnum, type DescField, type DescMessage, type Registry, ScalarType } from '@bufbuild/protobuf';
import { parseDuration } from '../duration.ts';
import { asWarning, doubtful, type Findings, fine, invalid } from './finding.ts';

/**
 * Checks `value` as the JSON form of a message (https://protobuf.dev/programming-guides/json/): wrong types, unknown enum
 * names and unusable Any are errors; unknown fields, and types that the registry lacks, are warnings.
 */
export function checkEnvoyJson(type: DescMessage, value: unknown, types: Registry, path: string): Findings {
  if (value === null || value === undefined) return fine;
  const wellKnown = wellKnownChecks[type.typeName];
  if (wellKnown !== undefined) return wellKnown(value, path);
  if (type.typeName === 'google.protobuf.Any') return checkAny(value, types, path);
  if (type.typeName.startsWith('google.protobuf.') && type.typeName.endsWith('Value') && type.field['value']) {
    return checkOne(type.field['value'], value, types, path);
  }
  if (!isObject(value)) return wrongType(path, 'an object', value);
  return Object.entries(value).flatMap(([key, child]) => {
    const field = fieldOf(type, key);
    const at = `${path}.${key}`;
    if (field === undefined) return doubtful(at, `unknown field "${key}" in ${type.typeName}`);
    return child === null ? fine : checkField(field, child, types, at);
  });
}

function fieldOf(type: DescMessage, key: string): DescField | undefined {
  return type.fields.find((field) => field.name === key || field.jsonName === key);
}

function checkField(field: DescField, value: unknown, types: Registry, path: string): Findings {
  if (field.fieldKind === 'list') {
    if (!Array.isArray(value)) return wrongType(path, 'a list', value);
    return value.flatMap((item, index) => checkElement(field, item, types, `${path}[${index}]`));
  }
  if (field.fieldKind === 'map') {
    if (!isObject(value)) return wrongType(path, 'an object', value);
    return Object.entries(value).flatMap(([key, item]) => checkElement(field, item, types, `${path}.${key}`));
  }
  return checkOne(field, value, types, path);
}

type Container = DescField & { fieldKind: 'list' | 'map' };

function checkElement(field: Container, value: unknown, types: Registry, path: string): Findings {
  if (value === null) return fine;
  const kind = field.fieldKind === 'list' ? field.listKind : field.mapKind;
  if (kind === 'message' && field.message !== undefined) return checkEnvoyJson(field.message, value, types, path);
  if (kind === 'enum' && field.enum !== undefined) return checkEnum(field.enum, value, path);
  return field.scalar === undefined ? fine : checkScalar(field.scalar, value, path);
}

function checkOne(field: DescField, value: unknown, types: Registry, path: string): Findings {
  if (field.fieldKind === 'message') return checkEnvoyJson(field.message, value, types, path);
  if (field.fieldKind === 'enum') return checkEnum(field.enum, value, path);
  return field.fieldKind === 'scalar' ? checkScalar(field.scalar, value, path) : fine;
}

/** Values that Envoy has and our copy of its API, of an older release, has not. */
const newerValues: Readonly<Record<string, readonly string[]>> = {
  'envoy.extensions.filters.http.ext_proc.v3.ProcessingMode.BodySendMode': ['FULL_DUPLEX_STREAMED', 'GRPC'],
};

function checkEnum(type: DescEnum, value: unknown, path: string): Findings {
  if (typeof value === 'number' && Number.isInteger(value)) return fine;
  if (typeof value !== 'string') return wrongType(path, 'the name of an enum value', value);
  const names = [...type.values.map(({ name }) => name), ...(newerValues[type.typeName] ?? [])];
  return names.includes(value) ? fine : invalid(path, `must be one of ${names.join(', ')}`);
}

/** Smallest and largest value of the integer types. */
const ranges: Readonly<Partial<Record<ScalarType, readonly [number, number]>>> = {
  [ScalarType.INT32]: [-2147483648, 2147483647],
  [ScalarType.SINT32]: [-2147483648, 2147483647],
  [ScalarType.SFIXED32]: [-2147483648, 2147483647],
  [ScalarType.UINT32]: [0, 4294967295],
  [ScalarType.FIXED32]: [0, 4294967295],
  [ScalarType.INT64]: [-(2 ** 63), 2 ** 63],
  [ScalarType.SINT64]: [-(2 ** 63), 2 ** 63],
  [ScalarType.SFIXED64]: [-(2 ** 63), 2 ** 63],
  [ScalarType.UINT64]: [0, 2 ** 64],
  [ScalarType.FIXED64]: [0, 2 ** 64],
};

function checkScalar(type: ScalarType, value: unknown, path: string): Findings {
  if (type === ScalarType.STRING || type === ScalarType.BYTES) {
    return typeof value === 'string' ? fine : wrongType(path, 'a string', value);
  }
  if (type === ScalarType.BOOL) return typeof value === 'boolean' ? fine : wrongType(path, 'true or false', value);
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || Number.isNaN(number)) return wrongType(path, 'a number', value);
  const range = ranges[type];
  if (range === undefined) return fine;
  if (!Number.isInteger(number)) return wrongType(path, 'a whole number', value);
  return number >= range[0] && number <= range[1] ? fine : invalid(path, `must be from ${range[0]} to ${range[1]}`);
}

const wellKnownChecks: Readonly<Record<string, (value: unknown, path: string) => Findings>> = {
  'google.protobuf.Duration': (value, path) => {
    if (typeof value !== 'string') return wrongType(path, 'a duration', value);
    return parseDuration(value) === undefined ? invalid(path, 'is not a duration, such as 500ms or 10s') : fine;
  },
  'google.protobuf.Timestamp': (value, path) =>
    typeof value === 'string' && !Number.isNaN(Date.parse(value)) ? fine : wrongType(path, 'a time', value),
  'google.protobuf.FieldMask': (value, path) =>
    typeof value === 'string' ? fine : wrongType(path, 'a field mask', value),
  'google.protobuf.Struct': (value, path) => (isObject(value) ? fine : wrongType(path, 'an object', value)),
  'google.protobuf.ListValue': (value, path) => (Array.isArray(value) ? fine : wrongType(path, 'a list', value)),
  'google.protobuf.Value': () => fine,
};

/** Names of the messages in the Anys of a JSON value, as checkEnvoyJson looks them up. */
export function typesInAny(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(typesInAny);
  if (!isObject(value)) return [];
  const { '@type': url, ...rest } = value;
  return [...(typeof url === 'string' ? [messageOf(url)] : []), ...typesInAny(Object.values(rest))];
}

function messageOf(url: string): string {
  return url.slice(url.lastIndexOf('/') + 1);
}

function checkAny(value: unknown, types: Registry, path: string): Findings {
  if (!isObject(value)) return wrongType(path, 'an object', value);
  const { '@type': url, ...rest } = value;
  if (url === undefined) return invalid(path, "must have an '@type'");
  if (typeof url !== 'string') return wrongType(`${path}["@type"]`, 'a type URL', url);
  const type = types.getMessage(messageOf(url));
  if (type === undefined) return unknownType(url, `${path}["@type"]`);
  // Types with a JSON form of their own hold it in `value`.
  const special = type.typeName.startsWith('google.protobuf.') && 'value' in rest;
  return checkEnvoyJson(type, special ? rest['value'] : rest, types, path);
}

// Our copy of Envoy's API lacks what other releases and builds add.
function unknownType(url: string, path: string): Findings {
  const name = /^type\.googleapis\.com\/((?:envoy|xds|udpa|istio|google)\.[\w.]+)$/.exec(url)?.[1];
  if (name === undefined) return invalid(path, `${url} is not a type of Envoy's`);
  return /\.v2(?:alpha|\.|$)/.test(name)
    ? invalid(path, `${url} is of the v2 API, which Envoy no longer has; use v3`)
    : doubtful(path, `${url} is not a type that we know`);
}

/**
 * Finds extensions that are named without a configuration, in `value` and below: Envoy dropped the look-up of filters by
 * name alone.
 */
export function checkTyped(type: DescMessage, value: unknown, path: string): Findings {
  if (!isObject(value)) return fine;
  const typed = type.fields.find((field) => field.name === 'typed_config' && field.fieldKind === 'message');
  const names = new Set(typed?.oneof?.fields.flatMap(({ name, jsonName }) => [name, jsonName]) ?? []);
  const bare =
    typed !== undefined && type.field['name'] !== undefined && !Object.keys(value).some((key) => names.has(key));
  const own = bare
    ? doubtful(path, `using deprecated types by name without typed_config; ${value['name'] ?? ''}`)
    : fine;
  return [...own, ...Object.entries(value).flatMap(([key, child]) => checkTypedField(type, key, child, path))].map(
    asWarning,
  );
}

function checkTypedField(type: DescMessage, key: string, value: unknown, path: string): Findings {
  const field = fieldOf(type, key);
  const message = field?.message;
  if (message === undefined || message.typeName.startsWith('google.protobuf.')) return fine;
  const at = `${path}.${key}`;
  if (Array.isArray(value)) return value.flatMap((item, index) => checkTyped(message, item, `${at}[${index}]`));
  return checkTyped(message, value, at);
}

function wrongType(path: string, wanted: string, value: unknown): Findings {
  const found = Array.isArray(value) ? 'a list' : isObject(value) ? 'an object' : `a ${typeof value}`;
  return invalid(path, `must be ${wanted}, not ${found}`);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
