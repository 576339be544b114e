// The incremental variant's rules for requests (xDS protocol, "Incremental xDS"; contract 1.10).
import type { DeltaRequest } from './request.ts';
import { changeNames, type Step, type Subscription, type TypeRules } from './subscription.ts';

/** The name that subscribes to everything. */
export const wildcardName = '*';

/**
 * Applies a DeltaDiscoveryRequest. A stale nonce only means that the acknowledgement is outdated: unlike in the other
 * variant, changes of the subscription count whatever the nonce is, because each is sent only once.
 */
export function onDeltaRequest(sub: Subscription, request: DeltaRequest, rules: TypeRules, fresh: boolean): Step {
  const nonce = fresh ? 'none' : judgeNonce(sub, request);
  const unsubscribe = new Set(request.unsubscribe);
  const subscribe = request.subscribe.filter((name) => name !== wildcardName && !unsubscribe.has(name));
  const wasWildcard = sub.wildcard;
  const legacyWildcard = fresh && rules.wildcard && request.subscribe.length === 0;
  if (request.subscribe.includes(wildcardName) || legacyWildcard) sub.wildcard = true;
  if (unsubscribe.has(wildcardName)) sub.wildcard = false;
  unsubscribe.delete(wildcardName);

  const answer = new Set(subscribe);
  if (fresh && !sub.wildcard) {
    for (const name of request.initialVersions.keys()) if (!unsubscribe.has(name)) answer.add(name);
  }
  const joined = [...answer].filter((name) => !sub.names.has(name));
  const dropped = [...unsubscribe].filter((name) => sub.names.has(name));
  changeNames(sub, joined, dropped);
  // Still covered by the wildcard: the client must hear of the name again to know what is true.
  if (sub.wildcard && wasWildcard) for (const name of dropped) answer.add(name);
  return {
    nonce,
    first: fresh,
    answer: [...answer],
    joined,
    dropped,
    everything: sub.wildcard && !wasWildcard,
    open: true,
    have: fresh ? request.initialVersions : noVersions,
    haveAll: '',
  };
}

const noVersions: ReadonlyMap<string, string> = new Map();

function judgeNonce(sub: Subscription, request: DeltaRequest): Step['nonce'] {
  if (request.nonce === '') return 'none';
  if (request.nonce !== sub.sent?.nonce) return 'stale';
  return request.error === undefined ? 'accepted' : 'rejected';
}
