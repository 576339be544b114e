// From our schemas to the structural OpenAPI v3 schemas of CustomResourceDefinitions.
import type { TSchema } from 'typebox';
import { atLeastOneMillisecond, type CelRule, type CrdKeywords } from './kinds/crd-keywords.ts';

/** The keywords of our schemas that matter here; kinds/field.ts writes them. */
interface Keywords {
  readonly type?: string;
  readonly description?: string;
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, TSchema>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, TSchema>>;
  readonly items?: TSchema;
  readonly anyOf?: readonly TSchema[];
  readonly oneofs?: readonly (readonly string[])[];
  readonly unknownFields?: 'drop' | 'warn';
  readonly crd?: CrdKeywords;
}

type OpenApi = Readonly<Record<string, unknown>>;

/** The OpenAPI v3 schema of a field, structural as the API server demands it. */
export function openApiOf(schema: TSchema): OpenApi {
  const keywords = schema as Keywords;
  const crd = keywords.crd ?? {};
  return {
    ...(keywords.description === undefined ? {} : { description: keywords.description }),
    ...typeOf(keywords),
    ...limitsOf(crd),
    ...rulesOf(keywords),
  };
}

// A duration is a millisecond or more, unless it states other rules or none.
function rulesOf({ format, crd }: Keywords): OpenApi {
  const rules: readonly CelRule[] = crd?.rules ?? (format === 'duration' ? [atLeastOneMillisecond] : []);
  return rules.length === 0 ? {} : { 'x-kubernetes-validations': rules };
}

function typeOf(keywords: Keywords): OpenApi {
  if (keywords.properties !== undefined) return messageOf(keywords, keywords.properties);
  if (keywords.patternProperties !== undefined) return mapOf(keywords.patternProperties);
  if (keywords.items !== undefined) return listOf(keywords, keywords.items);
  if (keywords.enum !== undefined) return { type: 'string', enum: keywords.enum };
  if (keywords.anyOf !== undefined) return intOrString;
  switch (keywords.type) {
    case 'string':
      return keywords.format === 'byte' ? { type: 'string', format: 'byte' } : { type: 'string' };
    case 'boolean':
      return { type: 'boolean' };
    case 'integer':
      return integerOf(keywords);
    case 'number':
      return { type: 'number', format: 'double' };
    default:
      return { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  }
}

const intOrString: OpenApi = { anyOf: [{ type: 'integer' }, { type: 'string' }], 'x-kubernetes-int-or-string': true };

// The API server's integers are signed: there is no format for unsigned ones, and a range beyond 2^53 loses digits.
function integerOf({ format, minimum, maximum }: Keywords): OpenApi {
  switch (format) {
    case 'int32':
      return { type: 'integer', format };
    case 'uint32':
      return { type: 'integer', minimum, maximum };
    case 'uint64':
      return { type: 'integer', minimum };
    default:
      return intOrString;
  }
}

function messageOf(keywords: Keywords, properties: Readonly<Record<string, TSchema>>): OpenApi {
  const crd = keywords.crd ?? {};
  const fields = Object.entries(properties).map(([name, schema]) => [name, openApiOf(schema)] as const);
  const aliases = Object.entries(crd.aliases ?? {}).flatMap(([alias, name]) => {
    const schema = properties[name];
    return schema === undefined ? [] : [[alias, openApiOf(schema)] as const];
  });
  const required = [...new Set([...(keywords.required ?? []), ...(crd.required ?? [])])].filter(
    (name) => !crd.notRequired?.includes(name),
  );
  return {
    type: 'object',
    properties: Object.fromEntries([...fields, ...aliases].sort(([a], [b]) => (a < b ? -1 : 1))),
    ...(required.length === 0 ? {} : { required }),
    ...exclusionsOf(keywords.oneofs ?? []),
    ...(keywords.unknownFields === 'drop' ? { 'x-kubernetes-preserve-unknown-fields': true } : {}),
  };
}

/** At most one field of each group: none of them, or exactly one. */
function exclusionsOf(groups: readonly (readonly string[])[]): OpenApi {
  const exclusions = groups
    .filter((group) => group.length > 1)
    .map((group) => {
      const given = group.map((field) => ({ required: [field] }));
      return { oneOf: [{ not: { anyOf: given } }, ...given] };
    });
  const [first] = exclusions;
  if (first === undefined) return {};
  return exclusions.length === 1 ? first : { allOf: exclusions };
}

function mapOf(patternProperties: Readonly<Record<string, TSchema>>): OpenApi {
  const value = Object.values(patternProperties)[0] ?? {};
  // A map of anything is a free-form object (google.protobuf.Struct).
  if (isAnything(value)) return { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  return { type: 'object', additionalProperties: openApiOf(value) };
}

function isAnything(schema: TSchema): boolean {
  const { type, enum: names, anyOf, properties, patternProperties, items } = schema as Keywords;
  return [type, names, anyOf, properties, patternProperties, items].every((keyword) => keyword === undefined);
}

function listOf(keywords: Keywords, items: TSchema): OpenApi {
  const { listType, listMapKeys } = keywords.crd ?? {};
  return {
    type: 'array',
    items: openApiOf(items),
    ...(listType === undefined ? {} : { 'x-kubernetes-list-type': listType }),
    ...(listMapKeys === undefined ? {} : { 'x-kubernetes-list-map-keys': listMapKeys }),
  };
}

const limits = [
  'minLength',
  'maxLength',
  'pattern',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
  'nullable',
] as const;

function limitsOf(crd: CrdKeywords): OpenApi {
  return Object.fromEntries(limits.flatMap((name) => (crd[name] === undefined ? [] : [[name, crd[name]]])));
}
