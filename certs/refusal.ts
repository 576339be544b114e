// How certs/ says no: a value with a reason that is safe to log, never an exception and never with key material.

export interface Refusal {
  readonly kind: 'refused';
  /** One clause without secrets; for logs. What a remote caller may see is decided where the reply is made. */
  readonly reason: string;
}

/** Makes a refusal. */
export function refused(reason: string): Refusal {
  return { kind: 'refused', reason };
}

/** Whether a result is a refusal. */
export function isRefused(value: unknown): value is Refusal {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'refused';
}
