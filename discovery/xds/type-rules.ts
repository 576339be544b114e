// How each resource type is served: wildcards, completeness, removals (contract 1.7, 1.9, 1.10).
import type { Flavour } from '../proxy/proxy.ts';
import { pushOrder, type ResourceType } from '../xds-types.ts';
import type { TypeRules } from './subscription.ts';

const wildcards: ReadonlySet<ResourceType> = new Set(['cluster', 'listener', 'nameTable']);

/** The rules of a type for a flavour. gRPC's clients take every response for the whole state of the names they asked for. */
export function rulesOf(type: ResourceType, flavour: Flavour): TypeRules {
  return (flavour === 'grpc' ? grpcRules : envoyRules)[type];
}

const envoyRules = rulesBy((type) => wildcards.has(type));
const grpcRules = rulesBy(() => true);

function rulesBy(isComplete: (type: ResourceType) => boolean): Readonly<Record<ResourceType, TypeRules>> {
  const rules = pushOrder.map((type) => [
    type,
    { wildcard: wildcards.has(type), complete: isComplete(type), removals: type !== 'endpoint' },
  ]);
  return Object.fromEntries(rules) as Record<ResourceType, TypeRules>;
}

const ranks: ReadonlyMap<ResourceType, number> = new Map(pushOrder.map((type, rank) => [type, rank]));

/** Place of a type in push order. */
export function rankOf(type: ResourceType): number {
  return ranks.get(type) ?? pushOrder.length;
}

/** Type of the agent's health reports; they subscribe to nothing and get no answer. */
export const healthTypeUrl = 'type.googleapis.com/istio.v1.HealthInformation';

/** Whether a type URL is one of istioctl's one-shot debug requests. */
export function isDebugType(typeUrl: string): boolean {
  return typeUrl === 'istio.io/debug' || typeUrl.startsWith('istio.io/debug/');
}
