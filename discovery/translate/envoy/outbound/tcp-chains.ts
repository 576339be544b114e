// Filter chains of a service's port for TCP and TLS: by VirtualServices, else straight to the service.

import { millisecondsOf, parseDuration } from '../../../../config/duration.ts';
import { meshGateway } from '../../../../config/gateway-name.ts';
import type { RouteDestination } from '../../../../config/kinds/virtual-service.ts';
import type { Read } from '../../../graph/graph.ts';
import type { ClientView } from '../../../model/client-view.ts';
import { appliedRule } from '../../../model/destination-rules.ts';
import { mesh } from '../../../model/objects.ts';
import { isTls } from '../../../model/protocol.ts';
import { type VirtualRoutes, virtualServices } from '../../../model/route.ts';
import { serviceOfHost } from '../../../model/routed-services.ts';
import { streamRoutesOfService } from '../../../model/scope-routes.ts';
import type { Protocol, Service } from '../../../model/service.ts';
import { services } from '../../../model/services.ts';
import { trafficPolicyOf } from '../../../model/traffic-policy.ts';
import { outboundCluster } from '../../names.ts';
import { statName } from '../cluster-parts.ts';
import type { TcpTarget } from '../filters/tcp-proxy.ts';

/** One filter chain for TCP. Plain data, so that it can be part of a key. */
export interface TcpChain {
  readonly sni: readonly string[];
  /** Addresses and CIDRs of destinations; empty takes all. */
  readonly cidrs: readonly string[];
  readonly target: TcpTarget;
  /** The VirtualService it comes from. */
  readonly rules?: { readonly namespace: string; readonly name: string };
}

/** The client, as far as its TCP routes depend on it. */
export interface StreamClient extends ClientView {
  readonly ipFamily: 'v4' | 'v6' | 'dual';
  /** Idle timeout that the proxy asks for by its metadata. */
  readonly idleTimeoutMs?: number;
}

/** The port that clients address, which a Sidecar may have chosen. */
export interface ListenPort {
  readonly number: number;
  readonly protocol: Protocol;
}

/** What the chains are for. */
export interface StreamPort {
  readonly listener: number;
  readonly service: Service;
  readonly port: ListenPort;
  /** The service's CIDRs, where its listener cannot be bound to them. */
  readonly cidrs: readonly string[];
  /** Whether the listener takes connections to any address, so that only SNI tells services apart. */
  readonly wildcard: boolean;
}

/** Filter chains of a port. TLS ports are told apart by SNI only where nothing else does. */
export function tcpChains(read: Read, client: StreamClient, wanted: StreamPort): readonly TcpChain[] {
  const { hostname } = wanted.service;
  const rules = read(streamRoutesOfService, { ...client.view, listener: wanted.listener, hostname })
    .map((key) => read(virtualServices, key))
    .filter((found) => found !== undefined)
    .map((found) => found as VirtualRoutes);
  return isTls(wanted.port.protocol)
    ? tlsChains(read, client, wanted, rules)
    : plainChains(read, client, wanted, rules);
}

interface StreamMatch {
  readonly port?: number;
  readonly gateways?: readonly string[];
  readonly sourceLabels?: Readonly<Record<string, string>>;
  readonly sourceNamespace?: string;
}

/** Unlike HTTP's, these conditions must all hold. */
function matches(match: StreamMatch, client: StreamClient, port: number): boolean {
  const gateways = match.gateways ?? [];
  if (gateways.length > 0 && !gateways.includes(meshGateway)) return false;
  if ((match.port ?? 0) !== 0 && match.port !== port) return false;
  if ((match.sourceNamespace ?? '') !== '' && match.sourceNamespace !== client.source.namespace) return false;
  return Object.entries(match.sourceLabels ?? {}).every(([name, value]) => client.source.labels[name] === value);
}

function tlsChains(
  read: Read,
  client: StreamClient,
  wanted: StreamPort,
  rules: readonly VirtualRoutes[],
): readonly TcpChain[] {
  const chains: TcpChain[] = [];
  const seen = new Set<string>();
  for (const one of rules) {
    for (const route of one.tls) {
      for (const match of route.match ?? []) {
        if (!matches(match, client, wanted.port.number)) continue;
        const subnets = match.destinationSubnets ?? [];
        const cidrs = subnets.length > 0 ? subnets : wanted.cidrs;
        const sni = match.sniHosts ?? [];
        const id = JSON.stringify([[...sni].sort(), [...cidrs].sort()]);
        if (seen.has(id)) continue;
        seen.add(id);
        chains.push({ sni, cidrs, target: routedTarget(read, client, wanted, route.route ?? [], one), rules: one });
      }
    }
  }
  if (chains.length > 0) return chains.map(named);
  const sni = wanted.wildcard ? [wanted.service.hostname] : [];
  return [{ sni, cidrs: wanted.cidrs, target: serviceTarget(read, client, wanted) }];
}

function plainChains(
  read: Read,
  client: StreamClient,
  wanted: StreamPort,
  rules: readonly VirtualRoutes[],
): readonly TcpChain[] {
  const chains: TcpChain[] = [];
  for (const one of rules) {
    for (const route of one.tcp) {
      const all = route.match ?? [];
      const held = all.filter((match) => matches(match, client, wanted.port.number));
      if (all.length > 0 && held.length === 0) continue;
      const open = all.length === 0 || held.some((match) => (match.destinationSubnets ?? []).length === 0);
      const cidrs = open ? wanted.cidrs : held.flatMap((match) => match.destinationSubnets ?? []);
      chains.push({ sni: [], cidrs, target: routedTarget(read, client, wanted, route.route ?? [], one), rules: one });
      // Nothing after a route for all of the service's addresses is ever reached, and Envoy refuses equal matches.
      if (open || sameSet(cidrs, wanted.cidrs)) return chains.map(named);
    }
  }
  return [...chains.map(named), { sni: [], cidrs: wanted.cidrs, target: serviceTarget(read, client, wanted) }];
}

/** Cuts the VirtualService down to its name. */
function named(chain: TcpChain): TcpChain {
  const { rules } = chain;
  return rules === undefined ? chain : { ...chain, rules: { namespace: rules.namespace, name: rules.name } };
}

function serviceTarget(read: Read, client: StreamClient, { service, port }: StreamPort): TcpTarget {
  const [only] = service.ports;
  const target = service.ports.length === 1 && only !== undefined ? only.number : port.number;
  const cluster = outboundCluster(target, '', service.hostname);
  return {
    statPrefix: statPrefixOf(read, cluster, service, target, ''),
    clusters: [{ name: cluster, weight: 1 }],
    protocol: port.protocol,
    ...(service.resolution === 'dynamic-dns' ? dynamicPart(service.hostname, client, port.number) : {}),
    ...policyParts(read, client, service.hostname, target, ''),
  };
}

function dynamicPart(hostname: string, { ipFamily }: StreamClient, port: number): Pick<TcpTarget, 'dynamic'> {
  return { dynamic: { dns: { cache: `${hostname}_dfp_dns_cache`, family: ipFamily }, port } };
}

/** Where a TCP or TLS route of a VirtualService sends connections that come to a port. */
export function routedTarget(
  read: Read,
  client: StreamClient,
  { port }: Pick<StreamPort, 'port'>,
  routes: readonly RouteDestination[],
  rules: VirtualRoutes,
): TcpTarget {
  const clusters = routes.map(({ destination, weight }) => {
    const { host = '', subset = '' } = destination ?? {};
    const found = hostService(read, client, host);
    const only = found?.ports.length === 1 ? found.ports[0]?.number : undefined;
    const number = destination?.port?.number || (only ?? port.number);
    return { host, subset, number, service: found, name: outboundCluster(number, subset, host), weight: weight ?? 0 };
  });
  const [first] = clusters;
  const parts = first === undefined ? {} : policyParts(read, client, first.host, first.number, first.subset);
  const statPrefix =
    clusters.length === 1 && first !== undefined
      ? statPrefixOf(read, first.name, first.service, first.number, first.subset)
      : `${rules.name}.${rules.namespace}`;
  return {
    statPrefix,
    clusters: clusters
      .filter(({ weight }) => clusters.length === 1 || weight > 0)
      .map(({ name, weight }) => ({ name, weight })),
    protocol: port.protocol,
    ...parts,
  };
}

function hostService(read: Read, { view }: StreamClient, hostname: string): Service | undefined {
  const scoped = read(serviceOfHost, { ...view, hostname });
  return scoped === undefined ? undefined : read(services, scoped.service);
}

/** What a DestinationRule changes about connections, besides their cluster. */
function policyParts(read: Read, client: StreamClient, hostname: string, port: number, subset: string) {
  const found = hostService(read, client, hostname);
  const { namespace, labels } = client.policy;
  const key = { namespace, hostname, serviceNamespace: found?.namespace ?? '' };
  const rule = found === undefined ? '' : appliedRule(read, key, labels);
  const policy = trafficPolicyOf(read, { rule, port, subset });
  const written = policy.connectionPool?.tcp?.idleTimeout;
  const parsed = written === undefined ? undefined : parseDuration(written);
  const idleTimeoutMs = parsed === undefined ? client.idleTimeoutMs : millisecondsOf(parsed);
  const { tunnel } = policy;
  return {
    ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs }),
    ...(policy.loadBalancer?.consistentHash?.useSourceIp === true ? { bySourceIp: true } : {}),
    ...(tunnel === undefined
      ? {}
      : { tunnel: { target: `${tunnel.targetHost}:${tunnel.targetPort}`, post: tunnel.protocol === 'POST' } }),
  };
}

function statPrefixOf(read: Read, cluster: string, service: Service | undefined, port: number, subset: string): string {
  const pattern = read(mesh, 'mesh').outboundClusterStatName;
  if (!pattern || service === undefined) return cluster;
  const name = service.ports.find(({ number }) => number === port)?.name ?? '';
  return statName(pattern, cluster, service, { number: port, name, target: 0, subset }).replace(/;$/u, '');
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return JSON.stringify([...a].sort()) === JSON.stringify([...b].sort());
}
