// The traffic policy of a service's port or subset: what its DestinationRules come to.
import type { DestinationRule, Subset, TrafficPolicy as WrittenPolicy } from '../../config/kinds/destination-rule.ts';
import { query, type Read } from '../graph/graph.ts';
import { objectOf } from './object-collection.ts';

/** A policy of which the port-level settings have been applied. */
export type TrafficPolicy = Omit<WrittenPolicy, 'portLevelSettings'>;

/** Rules that were merged into one: settings of the first that has them, subsets of all. */
export interface MergedRule {
  /** API path of the first object, as Istio's metadata `config` has it. */
  readonly path: string;
  readonly namespace: string;
  readonly name: string;
  /** Objects that were merged, the first being decisive: `namespace/name`. */
  readonly keys: readonly string[];
  readonly trafficPolicy: WrittenPolicy | undefined;
  readonly subsets: readonly Subset[];
  /** Whether it is for selected workloads only. */
  readonly hasSelector: boolean;
}

/** What the rules with these keys (joined by commas, as `appliedRule` gives them) come to; undefined for ''. */
export const mergedRule = query('merged-destination-rule', (read, keys: string): MergedRule | undefined => {
  const found = keys
    .split(',')
    .map((key) => objectOf(read, 'DestinationRule', key))
    .filter((rule) => rule !== undefined)
    .map((rule) => rule as DestinationRule);
  const [first] = found;
  if (first === undefined) return undefined;
  const { namespace, name } = first.metadata;
  const subsets = new Map<string, Subset>();
  for (const subset of found.flatMap((rule) => rule.spec.subsets ?? [])) {
    if (subset?.name && !subsets.has(subset.name)) subsets.set(subset.name, subset);
  }
  return {
    path: `/apis/${first.apiVersion}/namespaces/${namespace}/destination-rule/${name}`,
    namespace,
    name,
    keys: keys.split(','),
    trafficPolicy: found.find((rule) => rule.spec.trafficPolicy !== undefined)?.spec.trafficPolicy,
    subsets: [...subsets.values()],
    hasSelector: first.spec.workloadSelector !== undefined,
  };
});

/** Names a policy: the rules, the port of the service, and the subset or ''. */
export interface PolicyKey {
  /** As `appliedRule` gives it. */
  readonly rule: string;
  readonly port: number;
  readonly subset: string;
}

/** The policy for a port and subset. Without rules, and for a subset that none of them has, it is empty. */
export function trafficPolicyOf(read: Read, { rule, port, subset }: PolicyKey): TrafficPolicy {
  const merged = rule === '' ? undefined : read(mergedRule, rule);
  if (merged === undefined) return {};
  const base = overlay({}, merged.trafficPolicy, port);
  if (subset === '') return base;
  return overlay(base, merged.subsets.find(({ name }) => name === subset)?.trafficPolicy, port);
}

/** Lays a written policy over another one. A port's settings replace four blocks whole, absent ones included. */
export function overlay(base: TrafficPolicy, over: WrittenPolicy | undefined, port: number): TrafficPolicy {
  if (over === undefined) return base;
  const { portLevelSettings, ...rest } = over;
  const merged: TrafficPolicy = { ...base, ...definedOf(rest) };
  const level = portLevelSettings?.find((settings) => settings?.port?.number === port);
  if (level === undefined) return merged;
  const { connectionPool: _pool, outlierDetection: _outliers, loadBalancer: _balancer, tls: _tls, ...kept } = merged;
  const { port: _port, ...own } = level;
  return { ...kept, ...definedOf(own) };
}

function definedOf<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as T;
}
