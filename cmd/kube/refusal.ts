// What an API server says when it does not do what was asked, as an error.
import type { KubeAnswer } from '../../config/sources/kube-api.ts';

/** An answer with an error status. */
export class Refusal extends Error {
  readonly status: number;
  /** Milliseconds after which the API server wants to be asked again, where it says so. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, status: number, retryAfterMs: number | undefined) {
    super(message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The error for an answer with an error status. */
export function refusal({ status, body }: KubeAnswer): Refusal {
  const { message, details } = (body ?? {}) as { readonly message?: unknown; readonly details?: unknown };
  const { retryAfterSeconds: seconds } = (details ?? {}) as { readonly retryAfterSeconds?: unknown };
  return new Refusal(
    `the API server answered ${status} ${typeof message === 'string' ? message.slice(0, 300) : ''}`,
    status,
    typeof seconds === 'number' && seconds > 0 ? seconds * 1_000 : undefined,
  );
}

/**
 * Whether an error says that the API server serves nobody well now: it gave no answer, has too much to do, or fails. A
 * webhook that fails (also a 500) is a matter of the objects that it is asked about.
 */
export function isOutage(error: Error): boolean {
  if (!(error instanceof Refusal)) return true;
  return (error.status === 429 || error.status >= 500) && !error.message.includes('webhook');
}
