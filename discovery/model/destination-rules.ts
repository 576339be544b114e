// Which DestinationRules apply to a host for clients of a namespace: looked up, merged, and told apart by selector.

import { type ExportTo, exportedTo, parseExportTo } from '../../config/export-to.ts';
import type { DestinationRule } from '../../config/kinds/destination-rule.ts';
import { compareAge, compareText, keyOf } from '../../config/object.ts';
import { index } from '../graph/collect.ts';
import { query, type Read } from '../graph/graph.ts';
import { defaultExportTo } from './export.ts';
import { fqdnOf, isWildcard, mostSpecificCovering } from './hostname.ts';
import { objectCollection } from './object-collection.ts';
import { mesh, ruleDomain } from './objects.ts';
import { selects } from './workload.ts';

type Labels = Readonly<Record<string, string>>;

/** A DestinationRule with its host in full and its visibility resolved. */
export interface Rule {
  /** `namespace/name` of the object. */
  readonly key: string;
  readonly namespace: string;
  readonly host: string;
  readonly exportTo: ExportTo;
  /** Workloads whose outbound traffic it is for; absent means all. */
  readonly selector?: Labels;
  readonly object: DestinationRule;
}

/** Rules of one host that act as one. */
export interface RuleSet {
  /** Keys of the merged objects, the first being decisive, joined by commas: the key of `mergedRule`. */
  readonly rule: string;
  /** The namespace in which its selector counts. */
  readonly namespace: string;
  readonly selector?: Labels;
}

/** Who asks about which host. */
export interface RuleKey {
  /** Namespace of the client. */
  readonly namespace: string;
  readonly hostname: string;
  /** Namespace of the service. */
  readonly serviceNamespace: string;
}

/** DestinationRules by `namespace/name`. */
export const rules = objectCollection<'DestinationRule', Rule>(
  'destination-rules',
  ['DestinationRule'],
  (read, key, object) => {
    const domain = read(ruleDomain, 'facts');
    const { namespace } = object.metadata;
    const { exportTo = [], workloadSelector, host = '' } = object.spec ?? {};
    const own = exportTo.length === 0 ? read(defaultExportTo, 'destinationRule') : exportTo;
    const rule: Rule = {
      key,
      namespace,
      host: fqdnOf(host, namespace, domain),
      // One with a selector is for the workloads of its namespace only.
      exportTo: workloadSelector === undefined ? parseExportTo(own, namespace) : [namespace],
      ...(workloadSelector === undefined ? {} : { selector: workloadSelector.matchLabels ?? {} }),
      object,
    };
    return rule.host === '' ? new Map() : new Map([[key, rule]]);
  },
);

const rulesByHost = index('destination-rules-by-host', rules, (rule) => (isWildcard(rule.host) ? [] : [rule.host]));

const wildcardRules = index('destination-rules-of-wildcards', rules, (rule) =>
  isWildcard(rule.host) ? [rule.namespace] : [],
);

const selectingRules = index('destination-rules-with-selector', rules, (rule) =>
  rule.selector === undefined ? [] : [rule.namespace],
);

/** Label keys that rules of a namespace select its clients by, sorted: without any, clients need not be told apart. */
export const selectorLabels = query('destination-rule-labels', (read, namespace: string): readonly string[] => {
  const labels = read(selectingRules, namespace).flatMap((key) => Object.keys(read(rules, key)?.selector ?? {}));
  return [...new Set(labels)].sort(compareText);
});

/** Collections of this file, for the graph. */
export const destinationRuleCollections = [rules];

/**
 * The rule sets that clients of a namespace may use for a host, in order: of the client's namespace, else of the
 * service's, else of the root namespace. Mostly one or none; several where selectors or exportTo differ.
 */
export const destinationRulesFor = query<RuleKey, readonly RuleSet[]>(
  'destination-rules-for',
  (read, { namespace, hostname, serviceNamespace }) => {
    const root = read(rootNamespace, 'mesh');
    const own = mostSpecific(read, namespace, hostname, (rule) =>
      // The root namespace's rules for all come last even for its own proxies, or they would hide every other.
      namespace === root ? isPrivate(rule) : exportedTo(rule.exportTo, namespace),
    );
    if (own.length > 0) return own;
    for (const owner of [serviceNamespace, root]) {
      const exported = mostSpecific(read, owner, hostname, (rule) => !isPrivate(rule), namespace);
      if (exported.length > 0) return exported;
    }
    return [];
  },
  { idOf: ({ namespace, hostname, serviceNamespace }) => `${namespace}|${serviceNamespace}|${hostname}` },
);

/**
 * The rule that applies to a client by its labels: the key of `mergedRule`, empty for none. For inbound traffic
 * selectors do not count.
 */
export function appliedRule(
  read: Read,
  key: RuleKey,
  labels: Labels,
  direction: 'outbound' | 'inbound' = 'outbound',
): string {
  // Most hosts have no rule anywhere: they cost no cell for each client's namespace.
  if (!mayHaveRules(read, key)) return '';
  const sets = read(destinationRulesFor, key);
  const selected = sets.find(
    (set) => set.selector !== undefined && set.namespace === key.namespace && selects(set.selector, labels),
  );
  if (selected !== undefined && direction === 'outbound') return selected.rule;
  return sets.findLast((set) => set.selector === undefined)?.rule ?? '';
}

function mayHaveRules(read: Read, { namespace, hostname, serviceNamespace }: RuleKey): boolean {
  if (read(rulesByHost, hostname).length > 0) return true;
  return [namespace, serviceNamespace, read(rootNamespace, 'mesh')].some((of) => read(wildcardRules, of).length > 0);
}

const rootNamespace = query(
  'root-namespace',
  (read, _key: 'mesh') => read(mesh, 'mesh').rootNamespace ?? 'istio-system',
);

function isPrivate(rule: Rule): boolean {
  return rule.exportTo !== 'everyone' && rule.exportTo.length === 1 && rule.exportTo[0] === rule.namespace;
}

/** Rule sets of the most specific host among a namespace's rules; then only those that `client` may see. */
function mostSpecific(
  read: Read,
  namespace: string,
  hostname: string,
  admits: (rule: Rule) => boolean,
  client?: string,
): readonly RuleSet[] {
  const found = rulesOf(read, namespace, hostname).filter(admits);
  const host = mostSpecificCovering(
    hostname,
    found.map((rule) => rule.host),
  );
  const sets = merged(found.filter((rule) => rule.host === host));
  const visible = client === undefined ? sets : sets.filter((set) => exportedTo(set.exportTo, client));
  return visible.map(({ rule, namespace: of, selector }) => ({
    rule,
    namespace: of,
    ...(selector === undefined ? {} : { selector }),
  }));
}

function rulesOf(read: Read, namespace: string, hostname: string): readonly Rule[] {
  const keys = [...read(rulesByHost, hostname), ...read(wildcardRules, namespace)];
  return keys
    .map((key) => read(rules, key))
    .filter((rule) => rule !== undefined && rule.namespace === namespace)
    .map((rule) => rule as Rule);
}

interface Merging extends RuleSet {
  readonly exportTo: ExportTo;
}

/** Joins rules of one host and selector, oldest first, where the same clients see them. */
function merged(same: readonly Rule[]): readonly Merging[] {
  const sets: Merging[] = [];
  for (const rule of [...same].sort((a, b) => compareAge(a.object, b.object))) {
    let separate = true;
    for (const [at, set] of sets.entries()) {
      if (!sameSelector(set.selector, rule.selector)) continue;
      const equal = sameExport(set.exportTo, rule.exportTo);
      if (!equal && !widerExport(rule.exportTo, set.exportTo)) continue;
      // A rule that more clients see also completes the narrower one.
      sets[at] = { ...set, rule: `${set.rule},${rule.key}` };
      if (equal) separate = false;
    }
    if (separate) sets.push(setOf(rule));
  }
  return sets;
}

function setOf(rule: Rule): Merging {
  const { key, namespace, exportTo, selector } = rule;
  return { rule: key, namespace, exportTo, ...(selector === undefined ? {} : { selector }) };
}

function sameExport(a: ExportTo, b: ExportTo): boolean {
  return a === 'everyone' || b === 'everyone' ? a === b : a.join() === b.join();
}

function widerExport(wide: ExportTo, narrow: ExportTo): boolean {
  return wide !== 'everyone' && narrow !== 'everyone' && narrow.every((namespace) => wide.includes(namespace));
}

function sameSelector(a: Labels | undefined, b: Labels | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const text = (labels: Labels): string => JSON.stringify(Object.entries(labels).sort(([x], [y]) => compareText(x, y)));
  return text(a) === text(b);
}

/** The key that a rule's object has in `rules`. */
export function ruleKeyOf(object: DestinationRule): string {
  return keyOf(object.metadata);
}
