// The words in which kinds are written: one builder for each type of field, all optional unless `required` says otherwise.
//
// TypeBox gives the types of these JSON Schemas and of their values. The schemas themselves are plain objects: its code
// would be a fifth of all modules that a start has to load.
import type {
  Static,
  TArray,
  TBoolean,
  TEnum,
  TInteger,
  TNumber,
  TObject,
  TOptional,
  TRecord,
  TSchema,
  TString,
  TUnion,
  TUnknown,
} from 'typebox';
import type { CrdKeywords } from './crd-keywords.ts';

/** A field that must be set; every other field of a `message` is optional, as in protobuf. */
export type Required<S extends TSchema> = S & { readonly '~required': true };

type Fields<P extends Record<string, TSchema>> = {
  [K in keyof P]: P[K] extends { readonly '~required': true } ? P[K] : TOptional<P[K]>;
};

/** A message of protobuf or an object of Kubernetes: a closed set of named fields. */
export type Message<P extends Record<string, TSchema>> = TObject<Fields<P>>;

/** The type of a schema's values, readonly all the way down. */
export type ValueOf<S extends TSchema> = DeepReadonly<Static<S>>;

/** Readonly all the way down. */
export type DeepReadonly<T> = T extends readonly (infer U)[]
  ? readonly DeepReadonly<U>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

/** Facts about a field beyond its type. */
export interface FieldOptions {
  /** The field still works but has a successor. */
  readonly deprecated?: boolean;
  /** What only the generated CRD says. */
  readonly crd?: CrdKeywords;
}

/** Facts about a message beyond its fields. */
export interface MessageOptions {
  /**
   * What is done with fields that the message does not list: refused, unless said otherwise here. `drop` is for
   * Kubernetes' own kinds and for statuses, of which only a part is read.
   */
  readonly unknownFields?: 'drop' | 'warn';
  /** Groups of fields of which at most one may be set (protobuf `oneof`). */
  readonly oneofs?: readonly (readonly string[])[];
  /** What only the generated CRD says. */
  readonly crd?: CrdKeywords;
}

/** Declares a message with a sentence about it. */
export function message<P extends Record<string, TSchema>>(
  description: string,
  fields: P,
  options: MessageOptions = {},
): Message<P> {
  const required = Object.entries(fields).flatMap(([name, schema]) => ('~required' in schema ? [name] : []));
  return schemaOf<Message<P>>({
    type: 'object',
    ...(required.length > 0 ? { required } : {}),
    properties: { ...fields },
    description,
    ...options,
  });
}

/** Marks a field of a message as one that must be set. */
export function required<S extends TSchema>(schema: S): Required<S> {
  return marked({ ...schema }) as Required<S>;
}

/** A string. */
export function text(description: string, options: FieldOptions = {}): TString {
  return schemaOf({ type: 'string', description, ...options });
}

/** A boolean, or protobuf's BoolValue. */
export function flag(description: string, options: FieldOptions = {}): TBoolean {
  return schemaOf({ type: 'boolean', description, ...options });
}

/** A signed 32-bit integer. JSON may hold it as a decimal string. */
export function int32(description: string, options: FieldOptions = {}): TInteger {
  return schemaOf({
    type: 'integer',
    description,
    format: 'int32',
    minimum: -2147483648,
    maximum: 2147483647,
    ...options,
  });
}

/** An unsigned 32-bit integer. JSON may hold it as a decimal string. */
export function uint32(description: string, options: FieldOptions = {}): TInteger {
  return schemaOf({ type: 'integer', description, format: 'uint32', minimum: 0, maximum: 4294967295, ...options });
}

/** A signed 64-bit integer, exact up to 2^53. JSON may hold it as a decimal string. */
export function int64(description: string, options: FieldOptions = {}): TInteger {
  return schemaOf({ type: 'integer', description, format: 'int64', ...options });
}

/** An unsigned 64-bit integer, exact up to 2^53. JSON may hold it as a decimal string. */
export function uint64(description: string, options: FieldOptions = {}): TInteger {
  return schemaOf({ type: 'integer', description, format: 'uint64', minimum: 0, ...options });
}

/** A floating-point number. */
export function decimal(description: string, options: FieldOptions = {}): TNumber {
  return schemaOf({ type: 'number', description, format: 'double', ...options });
}

/** A duration in Go's notation, `1h30m`, `250ms`, `-1.5s`; config/duration.ts gives its value. */
export function duration(description: string, options: FieldOptions = {}): TString {
  return schemaOf({ type: 'string', description, format: 'duration', ...options });
}

/** Bytes in base64. */
export function bytes(description: string, options: FieldOptions = {}): TString {
  return schemaOf({ type: 'string', description, format: 'byte', ...options });
}

/**
 * A protobuf enum, held by name. `names` are in the order of their numbers from 0; a number that has no name is `''`,
 * so that a number in JSON can be turned into its name.
 */
export function choice<const N extends readonly string[]>(
  names: N,
  description: string,
  options: FieldOptions = {},
): TEnum<Exclude<N[number], ''>[]> {
  return schemaOf({
    enum: names.filter((name) => name !== ''),
    description,
    type: 'string',
    numbers: names,
    ...options,
  });
}

/** A list. */
export function listOf<S extends TSchema>(item: S, description: string, options: FieldOptions = {}): TArray<S> {
  return schemaOf({ type: 'array', items: item, description, ...options });
}

/** A map from strings. */
export function mapOf<S extends TSchema>(
  value: S,
  description: string,
  options: FieldOptions = {},
): TRecord<'^.*$', S> {
  return schemaOf({ type: 'object', patternProperties: { '^.*$': value }, description, ...options });
}

/**
 * A map from strings of which only these keys are read. The values of others are looked at, and then dropped: they may be
 * large, and are nobody's here.
 */
export function someOf<S extends TSchema, const K extends readonly string[]>(
  value: S,
  keys: K,
  description: string,
): TObject<{ [N in K[number]]: TOptional<S> }> {
  return schemaOf({ ...mapOf(value, description), kept: keys });
}

/** A map from strings without these keys: their values, too, are looked at and then dropped. */
export function allBut<S extends TSchema>(value: S, keys: readonly string[], description: string): TRecord<'^.*$', S> {
  return schemaOf({ ...mapOf(value, description), dropped: keys });
}

/** A map whose keys are unsigned 32-bit integers, written as strings. */
export function mapByNumber<S extends TSchema>(
  value: S,
  description: string,
  options: FieldOptions = {},
): TRecord<'^.*$', S> {
  return schemaOf({ ...mapOf(value, description), keyFormat: 'uint32', ...options });
}

/** Any JSON object (google.protobuf.Struct). */
export function struct(description: string, options: FieldOptions = {}): TRecord<'^.*$', TUnknown> {
  return mapOf(schemaOf<TUnknown>({}), description, options);
}

/** Any JSON value (google.protobuf.Value). */
export function anything(description: string, options: FieldOptions = {}): TUnknown {
  return schemaOf({ description, ...options });
}

/** An integer or a string (Kubernetes' IntOrString). */
export function intOrText(description: string, options: FieldOptions = {}): TUnion<[TInteger, TString]> {
  return schemaOf({ anyOf: [{ type: 'integer' }, { type: 'string' }], description, ...options });
}

/** The same schema under another sentence, for a message used in several places. */
export function described<S extends TSchema>(schema: S, description: string, options: FieldOptions = {}): S {
  const copy = { ...schema, description, ...options };
  return ('~required' in schema ? marked(copy) : copy) as S;
}

/** The builder's own return type says what the keywords mean. */
function schemaOf<S extends TSchema>(keywords: object): S {
  return keywords as unknown as S;
}

// No keyword of JSON Schema, so that it does not show and is not spread along.
function marked(schema: object): object {
  return Object.defineProperty(schema, '~required', { value: true });
}
