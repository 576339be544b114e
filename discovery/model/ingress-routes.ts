// The VirtualServices that Ingresses stand for: one a host, with the rules of all Ingresses for it.
import type { Ingress, IngressBackend, IngressPath } from '../../config/kinds/ingress.ts';
import type { HttpRoute, VirtualService } from '../../config/kinds/virtual-service.ts';
import { compareText } from '../../config/object.ts';
import { collection, grouped, index } from '../graph/collect.ts';
import type { Read } from '../graph/graph.ts';
import { gatewayNameOf, ingressGateways, ingressNamespace, servesIngress, virtualServiceNameOf } from './ingress.ts';
import { facts, objects } from './objects.ts';
import { routeSemantics } from './route-semantics.ts';

/** A rule of an Ingress, with what decides its place among those for the same host. */
export interface IngressRuleItem {
  readonly name: string;
  readonly namespace: string;
  readonly creationTimestamp: string;
  /** Place among the Ingress' rules. */
  readonly position: number;
  /** `*` stands for all hosts. */
  readonly host: string;
  readonly paths: readonly IngressPath[];
}

/** The port of a Service of a namespace by its name, which may be empty. */
export type PortByName = (service: string, port: string) => number | undefined;

/** The rules of an Ingress that have paths. */
export function rulesOf({ metadata, spec }: Ingress): readonly IngressRuleItem[] {
  const { name, namespace, creationTimestamp = '' } = metadata;
  return (spec?.rules ?? []).flatMap(({ host = '', http }, position) =>
    http === undefined
      ? []
      : [{ name, namespace, creationTimestamp, position, host: host === '' ? '*' : host, paths: http.paths ?? [] }],
  );
}

/** The order of rules for one host: those of the oldest Ingress first. */
export function compareRules(a: IngressRuleItem, b: IngressRuleItem): number {
  return (
    compareText(a.creationTimestamp, b.creationTimestamp) ||
    compareText(a.name, b.name) ||
    compareText(a.namespace, b.namespace) ||
    a.position - b.position
  );
}

/** Routes in the order in which Kubernetes lets paths win: the longest first, of equals the exact one, then the oldest. */
export function inPrecedence(routes: readonly HttpRoute[]): readonly HttpRoute[] {
  return routes
    .map((route) => ({ route, uri: route.match?.[0]?.uri }))
    .sort(
      (a, b) =>
        lengthOf(b.uri) - lengthOf(a.uri) || Number(b.uri?.exact !== undefined) - Number(a.uri?.exact !== undefined),
    )
    .map(({ route }) => route);
}

/**
 * The route of a path; undefined for one that cannot be served: it leads to no Service, to a port without a number, or
 * is a prefix that no path has (Envoy refuses those).
 */
export function routeOf(
  { path = '', pathType, backend }: IngressPath,
  namespace: string,
  domain: string,
  portByName: PortByName,
): HttpRoute | undefined {
  const destination = destinationOf(backend, namespace, domain, portByName);
  const uri = uriOf(path, pathType);
  if (destination === undefined || !/^(?:\/[^?#]*)?$/.test(uri?.prefix ?? '')) return undefined;
  return { ...(uri === undefined ? {} : { match: [{ uri }] }), route: [{ destination }] };
}

type Uri = { readonly exact: string; readonly prefix?: never } | { readonly prefix: string; readonly exact?: never };

/** What a path asks of the request's; undefined takes every one. */
function uriOf(path: string, pathType: string | undefined): Uri | undefined {
  if (pathType === 'Exact') return { exact: path };
  if (pathType === 'Prefix') return prefixOf(path);
  if (['', '*', '/*', '.*'].includes(path)) return undefined;
  const suffix = ['.*', '/*'].find((end) => path.endsWith(end));
  return suffix === undefined ? { exact: path } : prefixOf(path.slice(0, -suffix.length));
}

/** Prefixes count by segments, so that slashes at the end say nothing. */
function prefixOf(path: string): Uri {
  return { prefix: path.replace(/^$|\/{2,}$/, '/') };
}

function lengthOf(uri: { readonly exact?: string; readonly prefix?: string } | undefined): number {
  return Buffer.byteLength(uri?.exact ?? uri?.prefix ?? '');
}

function destinationOf(backend: IngressBackend | undefined, namespace: string, domain: string, portByName: PortByName) {
  const { name = '', port } = backend?.service ?? {};
  const number = (port?.number ?? 0) > 0 ? port?.number : portByName(name, port?.name ?? '');
  if (backend?.service === undefined || number === undefined) return undefined;
  return { host: `${name}.${namespace}.svc.${domain}`, port: { number } };
}

const ingressRules = collection<Ingress, IngressRuleItem>('ingress-rules', [objects.Ingress], (read, key, ingress) => {
  const rules = read(servesIngress, key) ? rulesOf(ingress) : [];
  return new Map(rules.map((rule) => [`${key}/${rule.position}`, rule]));
});

const rulesByHost = index('ingress-rules-by-host', ingressRules, ({ host }) => [host.toLowerCase()]);

/** VirtualServices of the Ingresses that are served, by host. */
export const ingressVirtualServices = grouped<VirtualService>(
  'ingress-virtual-services',
  rulesByHost,
  (read, host, keys) => {
    const rules = keys
      .map((key) => read(ingressRules, key))
      .filter((rule) => rule !== undefined)
      .sort(compareRules);
    const [oldest] = rules;
    if (oldest === undefined) return undefined;
    const { name, namespace } = oldest;
    const { domain } = read(facts, 'facts');
    const gateway = `${read(ingressNamespace, 'facts')}/${gatewayNameOf(name, namespace)}`;
    const routes = rules.flatMap((rule) =>
      rule.paths.flatMap((path) => routeOf(path, rule.namespace, domain, portsOf(read, rule.namespace)) ?? []),
    );
    return {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: {
        name: virtualServiceNameOf(host, name),
        namespace,
        annotations: { [routeSemantics]: 'ingress' },
      },
      spec: { hosts: [host], gateways: [gateway], http: inPrecedence(routes) },
    };
  },
);

function portsOf(read: Read, namespace: string): PortByName {
  return (service, name) =>
    read(objects.Service, `${namespace}/${service}`)?.spec?.ports?.find((port) => (port.name ?? '') === name)?.port;
}

/** Collections of what is made of Ingresses, for the graph. */
export const ingressCollections = [ingressGateways, ingressRules, ingressVirtualServices];
