// What of a client decides which services, routes and rules it sees, so that clients who see the same share all that follows.
import { index } from '../graph/collect.ts';
import { query, type Read } from '../graph/graph.ts';
import { rules, selectorLabels } from './destination-rules.ts';
import { virtualServices } from './route.ts';
import { services } from './services.ts';
import type { ScopeKey } from './sidecar-scope.ts';

type Labels = Readonly<Record<string, string>>;

/** A namespace and labels, as far as something compares them; empty where nothing does. */
export interface ClientPart {
  readonly namespace: string;
  readonly labels: Labels;
}

/** A client cut down to what tells it apart from others. */
export interface ClientView {
  /** Decides which services and VirtualServices are visible. */
  readonly view: ScopeKey;
  /** Decides which DestinationRules apply. */
  readonly policy: ClientPart;
  /** Compared with the source conditions of VirtualServices. */
  readonly source: ClientPart;
}

/** Cuts a client down. Without a Sidecar, namespaces that no object names see what is public, and nothing else. */
export function clientView(read: Read, client: ScopeKey & { readonly labels: Labels }): ClientView {
  const { namespace, scope, labels } = client;
  const named = scope !== '' || read(isNamedByExports, namespace);
  const ruled = read(hasOwnRules, namespace);
  const chosen = read(selectorLabels, namespace);
  const compared = read(sourceLabels, 'all');
  return {
    view: named ? { namespace, scope } : publicView,
    policy: ruled ? { namespace, labels: pick(labels, chosen) } : nobody,
    source: compared === undefined ? nobody : { namespace, labels: pick(labels, compared) },
  };
}

/** Text that identifies a view: equal text, equal views. */
export function clientViewId({ view, policy, source }: ClientView): string {
  const partId = ({ namespace, labels }: ClientPart): string =>
    `${namespace}|${JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))}`;
  return `${view.namespace}|${view.scope}|${partId(policy)}|${partId(source)}`;
}

const publicView: ScopeKey = Object.freeze({ namespace: '', scope: '' });
const nobody: ClientPart = Object.freeze({ namespace: '', labels: {} });

const servicesExportedTo = index('services-exported-to', services, (service) =>
  service.exportTo === 'everyone' ? [] : service.exportTo,
);

const routesExportedTo = index('routes-exported-to', virtualServices, (item) =>
  item.exportTo === 'everyone' ? [] : item.exportTo,
);

const isNamedByExports = query(
  'is-named-by-exports',
  (read, namespace: string) =>
    read(servicesExportedTo, namespace).length > 0 || read(routesExportedTo, namespace).length > 0,
);

const rulesConcerning = index('rules-concerning', rules, (rule) => [
  rule.namespace,
  ...(rule.exportTo === 'everyone' ? [] : rule.exportTo),
]);

const hasOwnRules = query('has-own-rules', (read, namespace: string) => read(rulesConcerning, namespace).length > 0);

const sourceAskers = index('routes-asking-for-source', virtualServices, (item) => {
  const matches = [...item.http, ...item.tls, ...item.tcp].flatMap((route) => route.match ?? []);
  const asks = matches.some(({ sourceLabels: wanted, sourceNamespace }) => wanted !== undefined || sourceNamespace);
  return asks ? ['all'] : [];
});

/** Label keys in source conditions; undefined where no VirtualService has such conditions. */
const sourceLabels = query('source-labels', (read, _key: 'all'): readonly string[] | undefined => {
  const keys = read(sourceAskers, 'all');
  if (keys.length === 0) return undefined;
  const labels = new Set<string>();
  for (const key of keys) {
    const item = read(virtualServices, key);
    const routes = item === undefined ? [] : [...item.http, ...item.tls, ...item.tcp];
    for (const match of routes.flatMap((route) => route.match ?? [])) {
      for (const label of Object.keys(match.sourceLabels ?? {})) labels.add(label);
    }
  }
  return [...labels].sort();
});

function pick(labels: Labels, wanted: readonly string[]): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([label]) => wanted.includes(label)));
}
