// What only a CustomResourceDefinition says about a field: limits that the API server checks and a protobuf decoder does not.

/** A CEL rule of a CRD (one entry of x-kubernetes-validations). */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
}

/**
 * OpenAPI keywords and `x-kubernetes-*` extensions of one field in the generated CRD. They are apart from the schema's
 * own keywords because Istio's webhook does not know them: an object may pass one of the two checks only.
 */
export interface CrdKeywords {
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly nullable?: boolean;
  /** Names of fields that the API server requires. */
  readonly required?: readonly string[];
  /** Names of fields that the API server does not require, though we do: Istio's CRDs let them be absent. */
  readonly notRequired?: readonly string[];
  /** Further spellings of fields that the API server lets through, each with the field that it stands for. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** x-kubernetes-validations. */
  readonly rules?: readonly CelRule[];
  /** x-kubernetes-list-type. */
  readonly listType?: 'map' | 'set' | 'atomic';
  /** x-kubernetes-list-map-keys. */
  readonly listMapKeys?: readonly string[];
}

/** Rule of a duration that must not be under a millisecond, Envoy's resolution. */
export const atLeastOneMillisecond: CelRule = {
  message: 'must be a valid duration greater than 1ms',
  rule: "duration(self) >= duration('1ms')",
};

/** Rules for a zero duration, which means something for this field: none. */
export const anyDuration: CrdKeywords = { rules: [] };

/** Rule of a port number. */
export const portInRange: CelRule = {
  message: 'port must be between 1-65535',
  rule: '0 < self && self <= 65535',
};

/** Rule that a text has no `*`. */
export function noWildcard(message: string): CelRule {
  return { message, rule: "!self.contains('*')" };
}

/** Rule that at most one of some fields is set. */
export function atMostOneOf(fields: readonly string[], message: string): CelRule {
  return { message, rule: `${fields.map((field) => `(has(self.${field}) ? 1 : 0)`).join(' + ')} <= 1` };
}
