// The state-of-the-world variant's rules for requests (xDS protocol, "ACK/NACK and resource type instance version"; contract 1.9).
import { wildcardName } from './delta.ts';
import type { SotwRequest } from './request.ts';
import { changeNames, type Step, type Subscription, type TypeRules } from './subscription.ts';

/**
 * Applies a DiscoveryRequest. An empty nonce starts the type over: everything asked for is answered, unless the client
 * comes from another stream and has exactly that (ADR 20). A stale one is ignored, because the client will say the same
 * again with the nonce of the response that is under way.
 */
export function onSotwRequest(sub: Subscription, request: SotwRequest, rules: TypeRules, fresh: boolean): Step {
  const first = fresh || request.nonce === '';
  if (!first && request.nonce !== sub.sent?.nonce) return { ...unchanged, nonce: 'stale' };
  if (!first && request.error !== undefined) return onRejection(sub, request);
  const names = new Set(request.names);
  const explicit = names.delete(wildcardName);
  const wasWildcard = sub.wildcard;
  // Once names were given, an empty list means that none is wanted any more.
  const legacyWildcard =
    rules.wildcard && request.names.length === 0 && (first || (wasWildcard && sub.names.size === 0));
  sub.wildcard = explicit || legacyWildcard;
  const joined = [...names].filter((name) => !sub.names.has(name));
  const dropped = [...sub.names].filter((name) => !names.has(name));
  changeNames(sub, joined, dropped);
  return {
    nonce: first ? 'none' : 'accepted',
    first,
    answer: first ? [...names] : joined,
    joined,
    dropped,
    everything: sub.wildcard && (first || !wasWildcard),
    open: sub.wildcard || names.size > 0,
    have: noVersions,
    // Of names, a client may have dropped what it once accepted and ask for it anew; of everything it may not.
    haveAll: request.nonce === '' && sub.wildcard && names.size === 0 ? request.version : '',
  };
}

// A rejection's names may hold new ones that no later request repeats; what it leaves out is not taken for dropped.
function onRejection(sub: Subscription, request: SotwRequest): Step {
  const joined = [...new Set(request.names)].filter((name) => name !== wildcardName && !sub.names.has(name));
  changeNames(sub, joined, []);
  return { ...unchanged, nonce: 'rejected', answer: joined, joined };
}

const noVersions: ReadonlyMap<string, string> = new Map();

const unchanged: Omit<Step, 'nonce'> = {
  first: false,
  answer: [],
  joined: [],
  dropped: [],
  everything: false,
  open: true,
  have: noVersions,
  haveAll: '',
};
