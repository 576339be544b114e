// What the webhooks count; the names are istiod's, the registry belongs to whoever starts the server.

/** Result of one injection call. `skip`: the pod was left alone by decision. */
export type InjectionOutcome = 'success' | 'failure' | 'skip';

/** The kind of object that was validated. */
export interface ValidatedResource {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
}

/**
 * Counters of istiod's webhooks: sidecar_injection_{requests,success,failure,skip}_total,
 * sidecar_injection_time_seconds, galley_validation_{passed,failed,http_error}.
 */
export interface WebhookMetrics {
  /** One injection call ended; `seconds` is its duration. */
  injected(outcome: InjectionOutcome, seconds: number): void;
  /** One object was validated. `reason` is given for refusals: the code of the first finding. */
  validated(resource: ValidatedResource, outcome: 'passed' | 'failed', reason?: string): void;
  /** A call could not be read; `status` is the HTTP status. */
  httpError(webhook: 'inject' | 'validate', status: number): void;
}

/** Counts nothing. */
export const noMetrics: WebhookMetrics = {
  injected: () => {},
  validated: () => {},
  httpError: () => {},
};
