// Which namespaces the mesh takes notice of (meshConfig.discoverySelectors).
import type { LabelSelector } from '../../config/kinds/common.ts';
import type { Namespace } from '../../config/kinds/namespace.ts';
import { query } from '../graph/graph.ts';
import { mesh, objects } from './objects.ts';

type Labels = Readonly<Record<string, string>>;

const selectors = query('discovery-selectors', (read, _key: 'mesh') => read(mesh, 'mesh').discoverySelectors ?? []);

/** Whether objects of a namespace count: all do without selectors, else one of them must select the namespace. */
export const isDiscovered = query('is-discovered', (read, namespace: string): boolean => {
  const all = read(selectors, 'mesh');
  return all.length === 0 || selectsNamespace(all, namespace, read(objects.Namespace, `/${namespace}`));
});

/** The same for selectors and a Namespace at hand; a folder may lack the object. */
export function selectsNamespace(
  all: readonly LabelSelector[] | undefined,
  name: string,
  object: Namespace | undefined,
): boolean {
  // The API server sets this label on every namespace.
  const labels = { 'kubernetes.io/metadata.name': name, ...object?.metadata.labels };
  return all === undefined || all.length === 0 || all.some((selector) => selectorMatches(selector, labels));
}

/** Whether a Kubernetes label selector matches. One without any requirement matches everything. */
export function selectorMatches(selector: LabelSelector, labels: Labels): boolean {
  const equal = Object.entries(selector.matchLabels ?? {}).every(([name, value]) => valueOf(labels, name) === value);
  return (
    equal &&
    (selector.matchExpressions ?? []).every(({ key = '', operator, values = [] }) => {
      const value = valueOf(labels, key);
      switch (operator) {
        case 'In':
          return value !== undefined && values.includes(value);
        case 'NotIn':
          return value === undefined || !values.includes(value);
        case 'Exists':
          return value !== undefined;
        case 'DoesNotExist':
          return value === undefined;
        default:
          return false;
      }
    })
  );
}

function valueOf(labels: Labels, name: string): string | undefined {
  return Object.hasOwn(labels, name) ? labels[name] : undefined;
}
