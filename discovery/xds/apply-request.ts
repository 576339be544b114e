// A request changes a subscription: by the rules of the variant that its stream speaks.
import { onDeltaRequest } from './delta.ts';
import type { XdsRequest } from './request.ts';
import { onSotwRequest } from './sotw.ts';
import type { Step, Subscription, TypeRules } from './subscription.ts';

/** Applies a request's names and nonce. `fresh` where the subscription did not exist before. */
export function applyRequest(sub: Subscription, request: XdsRequest, rules: TypeRules, fresh: boolean): Step {
  return request.variant === 'sotw'
    ? onSotwRequest(sub, request, rules, fresh)
    : onDeltaRequest(sub, request, rules, fresh);
}
