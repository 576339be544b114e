// Which namespaces the mesh takes notice of (meshConfig.discoverySelectors).
import type { LabelSelector } from '../../config/kinds/common.ts';
import { query } from '../graph/graph.ts';
import { mesh, objects } from './objects.ts';

type Labels = Readonly<Record<string, string>>;

const selectors = query('discovery-selectors', (read, _key: 'mesh') => read(mesh, 'mesh').discoverySelectors ?? []);

/** Whether objects of a namespace count: all do without selectors, else one of them must select the namespace. */
export const isDiscovered = query('is-discovered', (read, namespace: string): boolean => {
  const all = read(selectors, 'mesh');
  if (all.length === 0) return true;
  // The API server sets this label on every namespace; a folder may lack the object.
  const implied = { 'kubernetes.io/metadata.name': namespace };
  const labels = { ...implied, ...read(objects.Namespace, `/${namespace}`)?.metadata.labels };
  return all.some((selector) => selectorMatches(selector, labels));
});

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
