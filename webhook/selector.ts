// Kubernetes label selectors (metav1.LabelSelector).
import { isObject, listOf, objectOf } from './json.ts';

export interface LabelRequirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly LabelRequirement[];
}

/** Whether the selector selects these labels. An empty selector and one with an unknown operator select nothing. */
export function selects(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  const pairs = Object.entries(selector.matchLabels ?? {});
  const expressions = selector.matchExpressions ?? [];
  if (pairs.length === 0 && expressions.length === 0) return false;
  return matches(selector, labels);
}

/** The same, but an empty selector selects everything, as in webhook configurations. */
export function matches(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  const value = (name: string) => (Object.hasOwn(labels, name) ? labels[name] : undefined);
  return (
    Object.entries(selector.matchLabels ?? {}).every(([name, wanted]) => value(name) === wanted) &&
    (selector.matchExpressions ?? []).every((requirement) => meets(requirement, value(requirement.key)))
  );
}

/** The fewest labels that a selector of a webhook configuration takes; undefined where it takes none. */
export function labelsFor(selector: LabelSelector): Readonly<Record<string, string>> | undefined {
  const requirements = requirementsOf(selector);
  const labels: Record<string, string> = {};
  for (const { key, operator, values } of requirements) {
    if (operator !== 'In' && operator !== 'Exists') continue;
    const own = requirements.filter((requirement) => requirement.key === key);
    const candidates = operator === 'In' ? (values ?? []) : ['any'];
    const value = candidates.find((candidate) => own.every((requirement) => meets(requirement, candidate)));
    if (value !== undefined) labels[key] = value;
  }
  return matches(selector, labels) ? labels : undefined;
}

/** All that a selector asks for, its `matchLabels` as expressions. */
export function requirementsOf(selector: LabelSelector | undefined): readonly LabelRequirement[] {
  const pairs = Object.entries(selector?.matchLabels ?? {}).map(
    ([key, value]): LabelRequirement => ({ key, operator: 'In', values: [value] }),
  );
  return [...pairs, ...(selector?.matchExpressions ?? [])];
}

function meets(requirement: LabelRequirement, value: string | undefined): boolean {
  switch (requirement.operator) {
    case 'In':
      return value !== undefined && (requirement.values ?? []).includes(value);
    case 'NotIn':
      return value === undefined || !(requirement.values ?? []).includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      return false;
  }
}

/** Reads a list of selectors from unknown JSON; what is no selector is left out. */
export function selectorsOf(raw: unknown): readonly LabelSelector[] {
  return listOf(raw)
    .filter(isObject)
    .map((item) => ({
      matchLabels: Object.fromEntries(
        Object.entries(objectOf(item['matchLabels'])).filter(
          (pair): pair is [string, string] => typeof pair[1] === 'string',
        ),
      ),
      matchExpressions: listOf(item['matchExpressions'])
        .filter(isObject)
        .map((e) => ({
          key: String(e['key']),
          operator: String(e['operator']),
          values: listOf(e['values']).map(String),
        })),
    }));
}
