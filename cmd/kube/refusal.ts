// What an API server says when it does not do what was asked, as an error.
import type { KubeAnswer } from '../../config/sources/kube-api.ts';

/** The error for an answer with an error status. */
export function refusal({ status, body }: KubeAnswer): Error {
  const { message } = (body ?? {}) as { readonly message?: unknown };
  return new Error(`the API server answered ${status} ${typeof message === 'string' ? message.slice(0, 300) : ''}`);
}
