// What a proxy's namespace or its Sidecar lets it see: egress listeners, and the services behind each.
import type { Sidecar, SidecarEgress, SidecarIngress } from '../../config/kinds/sidecar.ts';
import { compareAge, keyOf } from '../../config/object.ts';
import { index } from '../graph/collect.ts';
import { query } from '../graph/graph.ts';
import { admits, type HostPatterns, patternsOf } from './egress-hosts.ts';
import { objectCollection } from './object-collection.ts';
import { mesh } from './objects.ts';

/** Who asks: the namespace that decides visibility, and the Sidecar that applies (`ns/name`) or '' for none. */
export interface ScopeKey {
  readonly namespace: string;
  readonly scope: string;
}

/** An egress listener: the default one has no port and stands for all ports that no other listener takes. */
export interface EgressListener {
  readonly port?: { readonly number: number; readonly protocol: string; readonly name: string };
  readonly bind: string;
  readonly captureMode: 'DEFAULT' | 'IPTABLES' | 'NONE';
  /** Hosts as `namespace -> host patterns`; see `egressAdmits`. */
  readonly hosts: HostPatterns;
}

/** A resolved scope. Services are asked for by `scopeServices`, per listener and namespace. */
export interface SidecarScope {
  /** The Sidecar's key, or '' where none applies. */
  readonly sidecar: string;
  readonly egress: readonly EgressListener[];
  /** Inbound listeners that replace those of the services; empty where the services' ports are used. */
  readonly ingress: readonly SidecarIngress[];
  readonly inboundConnectionPool: NonNullable<Sidecar['spec']>['inboundConnectionPool'];
  readonly outboundTrafficPolicy: OutboundPolicy;
}

/** What happens with traffic to unknown destinations. */
export interface OutboundPolicy {
  readonly mode: 'ALLOW_ANY' | 'REGISTRY_ONLY' | 'ALLOW_ANY_DYNAMIC_DNS';
  readonly egressProxy?: {
    readonly host: string;
    readonly subset?: string;
    readonly port?: { readonly number?: number };
  };
}

const idOfScope = ({ namespace, scope }: ScopeKey): string => `${namespace}|${scope}`;

/** Sidecars, in their own collection so that a namespace's can be listed. */
export const sidecars = objectCollection('sidecars', ['Sidecar'], (_read, key, value) => new Map([[key, value]]));

/** Sidecar keys by namespace. */
export const sidecarsByNamespace = index('sidecars-by-namespace', sidecars, (item) => [item.metadata.namespace]);

/** Which Sidecar applies to a workload: by selector, then its namespace's own, then the root namespace's. Key '' for none. */
export const sidecarFor = query<{ namespace: string; labels: Readonly<Record<string, string>> }, string>(
  'sidecar-for',
  (read, { namespace, labels }) => {
    const inNamespace = (ns: string): Sidecar[] =>
      read(sidecarsByNamespace, ns)
        .map((key) => read(sidecars, key))
        .filter((s) => s !== undefined)
        .sort(compareAge);
    const own = inNamespace(namespace);
    const selecting = own.find((s) => {
      const wanted = s.spec?.workloadSelector?.labels;
      return wanted !== undefined && Object.entries(wanted).every(([name, value]) => labels[name] === value);
    });
    const general = (s: Sidecar): boolean => s.spec?.workloadSelector === undefined;
    const root = read(mesh, 'mesh').rootNamespace ?? 'istio-system';
    const chosen = selecting ?? own.find(general) ?? (root === namespace ? undefined : inNamespace(root).find(general));
    return chosen === undefined ? '' : keyOf(chosen.metadata);
  },
  {
    idOf: ({ namespace, labels }) =>
      `${namespace}|${JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))}`,
  },
);

/** The scope of a client, read from its Sidecar or the default that sees everything exported to it. */
export const sidecarScope = query<ScopeKey, SidecarScope>(
  'sidecar-scope',
  (read, { namespace, scope }) => {
    const spec = scope === '' ? undefined : read(sidecars, scope)?.spec;
    const policy = spec?.outboundTrafficPolicy ?? read(mesh, 'mesh').outboundTrafficPolicy ?? { mode: 'ALLOW_ANY' };
    const egress = spec?.egress ?? [];
    return {
      sidecar: spec === undefined ? '' : scope,
      egress: egress.length === 0 ? [everything] : egress.map((listener) => egressOf(listener, namespace)),
      ingress: spec?.ingress ?? [],
      inboundConnectionPool: spec?.inboundConnectionPool,
      outboundTrafficPolicy: outboundOf(policy),
    };
  },
  { idOf: idOfScope },
);

/** Whether an egress listener takes in a service host of a namespace. */
export function egressAdmits(listener: EgressListener, namespace: string, hostname: string): boolean {
  return admits(listener.hosts, namespace, hostname, 'service');
}

/** Whether an egress listener takes in a VirtualService of a namespace by one of its hosts; matching works both ways. */
export function egressAdmitsRoute(listener: EgressListener, namespace: string, hosts: readonly string[]): boolean {
  return hosts.some((host) => admits(listener.hosts, namespace, host, 'route'));
}

const everything: EgressListener = Object.freeze({ bind: '', captureMode: 'DEFAULT', hosts: patternsOf(['*/*'], '') });

function egressOf(listener: SidecarEgress, namespace: string): EgressListener {
  const { port } = listener;
  const numbered = port?.number !== undefined && port.number !== 0;
  return {
    ...(port !== undefined && (numbered || (listener.bind ?? '') !== '')
      ? { port: { number: port.number ?? 0, protocol: port.protocol ?? '', name: port.name ?? '' } }
      : {}),
    bind: listener.bind ?? '',
    captureMode:
      listener.captureMode === 'IPTABLES' || listener.captureMode === 'NONE' ? listener.captureMode : 'DEFAULT',
    hosts: patternsOf(listener.hosts ?? [], namespace),
  };
}

function outboundOf(policy: Readonly<Record<string, unknown>>): OutboundPolicy {
  const mode =
    policy['mode'] === 'ALLOW_ANY' || policy['mode'] === 'ALLOW_ANY_DYNAMIC_DNS' ? policy['mode'] : 'REGISTRY_ONLY';
  const proxy = policy['egressProxy'] as OutboundPolicy['egressProxy'];
  return { mode, ...(proxy?.host === undefined ? {} : { egressProxy: proxy }) };
}
