// Filter chains of gateway servers that do not end in HTTP: TCP, TLS that ends here, TLS that passes through.

import { exportedTo } from '../../../../config/export-to.ts';
import { compareText } from '../../../../config/object.ts';
import type { Read } from '../../../graph/graph.ts';
import { query } from '../../../graph/graph.ts';
import type { ClientView } from '../../../model/client-view.ts';
import { appliedRule } from '../../../model/destination-rules.ts';
import { hostsFor, type MergedServer, passesTls } from '../../../model/gateways.ts';
import { hostsMatch, hostWithin } from '../../../model/hostname.ts';
import { compareRoutes, routesByGateway, type VirtualRoutes, virtualServices } from '../../../model/route.ts';
import { scopeServices, serviceNamespaces } from '../../../model/scope-services.ts';
import type { Protocol, Service } from '../../../model/service.ts';
import { services } from '../../../model/services.ts';
import { mergedRule } from '../../../model/traffic-policy.ts';
import { sniOf } from '../../names.ts';
import { plainTarget, type TcpTarget } from '../filters/tcp-proxy.ts';
import { routedTarget, type StreamClient } from '../outbound/tcp-chains.ts';

/** One chain. Plain data, so that it can be part of a key. */
export interface StreamChain {
  readonly sni: readonly string[];
  /** Required application protocols; empty takes any. */
  readonly alpn: readonly string[];
  readonly target: TcpTarget;
  /** Server whose TLS settings end TLS here; absent leaves connections as they are. */
  readonly terminates: boolean;
  readonly rules?: { readonly namespace: string; readonly name: string };
}

/** Protocols by which Istio's proxies mark mTLS: a connection that offers one of them cannot be plain text behind its SNI. */
const meshAlpn: readonly string[] = ['istio', 'istio-peer-exchange', 'istio-http/1.0', 'istio-http/1.1', 'istio-h2'];

/** VirtualServices of a gateway that a namespace sees, in Istio's order. */
export function routesOfGateway(read: Read, gateway: string, namespace: string): readonly VirtualRoutes[] {
  return read(routesByGateway, gateway)
    .map((key) => read(virtualServices, key))
    .filter((rules) => rules !== undefined)
    .filter((rules) => exportedTo(rules.exportTo, namespace))
    .sort(compareRoutes(namespace));
}

/** The hosts of a server as names for SNI: without namespaces, each once, sorted. */
export function sniHosts(hosts: readonly string[]): readonly string[] {
  return [...new Set(hosts.map((host) => host.slice(host.indexOf('/') + 1)))].sort();
}

/** Chains of one server. `taken` holds the SNI hosts of TLS routes that already have a chain on this port. */
export function streamChains(
  read: Read,
  merged: MergedServer,
  client: StreamClient & { readonly namespace: string },
  taken: Set<string>,
): readonly StreamChain[] {
  const { server } = merged;
  if (server.tls?.mode === 'AUTO_PASSTHROUGH') return sniRouted(read, merged, client);
  if (passesTls(server)) return tlsRouted(read, merged, client, taken);
  const terminates = server.tls !== undefined;
  const chain = tcpRouted(read, merged, client);
  if (chain !== undefined) return [{ ...chain, terminates, sni: terminates ? sniHosts(merged.hosts) : [] }];
  return terminates ? tlsRouted(read, merged, client, taken).map((one) => ({ ...one, terminates })) : [];
}

/** The first TCP route that is for this server: there can be only one, because nothing tells connections apart. */
function tcpRouted(
  read: Read,
  merged: MergedServer,
  client: StreamClient & { readonly namespace: string },
): StreamChain | undefined {
  for (const rules of routesOfGateway(read, merged.gateway, client.namespace)) {
    if (!servesHosts(merged, rules)) continue;
    for (const route of rules.tcp) {
      const matches = route.match ?? [];
      if (matches.length > 0 && !matches.some((match) => isFor(match, merged))) continue;
      return { ...chainTo(routedTarget(read, client, portOf(merged), route.route ?? [], rules)), rules: nameOf(rules) };
    }
  }
  return undefined;
}

function tlsRouted(
  read: Read,
  merged: MergedServer,
  client: StreamClient & { readonly namespace: string },
  taken: Set<string>,
): readonly StreamChain[] {
  const chains: StreamChain[] = [];
  for (const rules of routesOfGateway(read, merged.gateway, client.namespace)) {
    if (!servesHosts(merged, rules)) continue;
    for (const route of rules.tls) {
      for (const match of route.match ?? []) {
        const sni = match.sniHosts ?? [];
        if (!isFor(match, merged) || sni.some((host) => taken.has(host))) continue;
        for (const host of sni) taken.add(host);
        const target = routedTarget(read, client, portOf(merged), route.route ?? [], rules);
        chains.push({ ...chainTo(target), sni, rules: nameOf(rules) });
      }
    }
  }
  return chains;
}

/** AUTO_PASSTHROUGH: to each service of the mesh by the server name that Istio's mTLS uses for it. */
function sniRouted(read: Read, merged: MergedServer, client: ClientView): readonly StreamChain[] {
  const hosts = sniHosts(merged.hosts);
  return read(sniTargets, client)
    .filter(({ hostname }) => hosts.length === 0 || hosts.some((host) => hostWithin(hostname, host)))
    .map(({ name, protocol }) => ({
      sni: [name],
      alpn: meshAlpn,
      target: { ...plainTarget(name), protocol },
      terminates: false,
    }));
}

interface SniTarget {
  readonly hostname: string;
  readonly name: string;
  /** Of the port: istiod puts the protocol's own reader before the proxy here too. */
  readonly protocol: Protocol;
}

/** Server names of all ports and subsets of the mesh's own services, in Istio's order: by age, name and namespace. */
const sniTargets = query<Pick<ClientView, 'view' | 'policy'>, readonly SniTarget[]>(
  'sni-targets',
  (read, { view, policy }) => {
    const seen = read(serviceNamespaces, 'all').flatMap((of) =>
      read(scopeServices, { ...view, listener: 0, of }).flatMap(({ service: key }) => {
        const service = read(services, key);
        return service === undefined || service.meshExternal ? [] : [service];
      }),
    );
    return seen.sort(compareServices).flatMap(({ hostname, namespace, ports }) => {
      const place = { namespace: policy.namespace, hostname, serviceNamespace: namespace };
      const rule = appliedRule(read, place, policy.labels);
      const subsets = rule === '' ? [] : (read(mergedRule, rule)?.subsets ?? []);
      return ports
        .filter(({ protocol }) => protocol !== 'udp')
        .flatMap(({ number, protocol }) =>
          ['', ...subsets.map(({ name }) => name ?? '')].map((subset) => ({
            hostname,
            name: sniOf(number, subset, hostname),
            protocol,
          })),
        );
    });
  },
  { idOf: ({ view, policy }) => JSON.stringify([view, policy]) },
);

function compareServices(a: Service, b: Service): number {
  return (
    compareText(a.creationTimestamp, b.creationTimestamp) ||
    compareText(ownName(a), ownName(b)) ||
    compareText(a.namespace, b.namespace)
  );
}

/** Services of a ServiceEntry go by their hosts. */
function ownName({ registry, name, hostname }: Service): string {
  return registry === 'External' ? hostname : name;
}

function chainTo(target: TcpTarget): StreamChain {
  return { sni: [], alpn: [], target, terminates: false };
}

function servesHosts({ hosts }: MergedServer, rules: VirtualRoutes): boolean {
  return hostsFor(hosts, rules.namespace).some((host) => rules.hosts.some((wanted) => hostsMatch(host, wanted)));
}

function isFor(
  match: { readonly port?: number; readonly gateways?: readonly string[] },
  { number, gateway }: MergedServer,
): boolean {
  const gateways = match.gateways ?? [];
  return ((match.port ?? 0) === 0 || match.port === number) && (gateways.length === 0 || gateways.includes(gateway));
}

function portOf({ number, protocol }: MergedServer) {
  return { port: { number, protocol } };
}

function nameOf({ namespace, name }: VirtualRoutes) {
  return { namespace, name };
}
