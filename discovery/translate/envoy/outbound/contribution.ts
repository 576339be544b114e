// What the services of one namespace ask of a sidecar's outbound listeners: an address, a port, and how it is served.
import { isIP } from 'node:net';
import { query, type Read } from '../../../graph/graph.ts';
import { type AddressClient, addressesFor } from '../../../model/client-addresses.ts';
import { clientViewId } from '../../../model/client-view.ts';
import { facts } from '../../../model/objects.ts';
import { isHttp, parseProtocol } from '../../../model/protocol.ts';
import { scopeServices } from '../../../model/scope-services.ts';
import type { Service } from '../../../model/service.ts';
import { serviceEndpoints } from '../../../model/service-endpoints.ts';
import { partsOf, services } from '../../../model/services.ts';
import { type EgressListener, sidecarScope } from '../../../model/sidecar-scope.ts';
import { isSniffed } from '../route/port-services.ts';
import { type ListenPort, type StreamClient, type TcpChain, tcpChains } from './tcp-chains.ts';

/** The client, as far as outbound listeners depend on it. */
export interface OutboundClient extends StreamClient, AddressClient {
  readonly interception: 'REDIRECT' | 'TPROXY' | 'NONE';
  /** Whether it may not open ports below 1024. */
  readonly unprivileged: boolean;
  /** Its own addresses, where they can be a headless service's. */
  readonly addresses: readonly string[];
}

/** One list for the very many that are empty. */
const none: readonly never[] = Object.freeze([]);

/** One service's part in a listener. */
export interface Contribution {
  /** Address to bind; '' is the wildcard. */
  readonly bind: string;
  /** Further addresses of the same service. */
  readonly extras: readonly string[];
  readonly port: number;
  /** Opened as a real socket instead of taking redirected connections. */
  readonly bindToPort: boolean;
  readonly kind: 'http' | 'tcp' | 'auto';
  readonly hostname: string;
  readonly grpcWeb: boolean;
  /** A forward proxy for all ports, by a Sidecar's protocol HTTP_PROXY. */
  readonly proxy: boolean;
  /** Wildcard host that is resolved as requests come. */
  readonly dynamicHost?: string;
  readonly chains: readonly TcpChain[];
  /** Place among services that want the same address: by age, then name. */
  readonly order: string;
}

/** Contributions of the services of one namespace behind one egress listener. */
export const outboundContributions = query<
  OutboundClient & { readonly listener: number; readonly of: string },
  readonly Contribution[]
>(
  'outbound-contributions',
  (read, { listener, of, ...client }) => {
    const egress = read(sidecarScope, client.view).egress[listener];
    if (egress === undefined) return [];
    return read(scopeServices, { ...client.view, listener, of }).flatMap((scoped) => {
      const service = read(services, scoped.service);
      if (service === undefined || service.resolution === 'alias') return [];
      return portsOf(service, egress).flatMap((port) => contributionsOf(read, client, listener, egress, service, port));
    });
  },
  { idOf: ({ listener, of, ...client }) => JSON.stringify([listener, of, clientId(client)]) },
);

/** Text that identifies a client: equal text, equal listeners. */
export function clientId(client: OutboundClient): string {
  const { ipFamily, settings, interception, unprivileged, addresses, idleTimeoutMs } = client;
  const dns = settings.dnsCapture === true;
  return JSON.stringify([
    clientViewId(client),
    ipFamily,
    dns,
    interception,
    unprivileged,
    addresses,
    idleTimeoutMs ?? -1,
  ]);
}

/** A Sidecar's own port stands for whatever port the service has. */
function portsOf(service: Service, { port }: EgressListener): readonly ListenPort[] {
  if (port === undefined) return service.ports;
  return [{ number: port.number, protocol: parseProtocol(port.protocol) }];
}

function contributionsOf(
  read: Read,
  client: OutboundClient,
  listener: number,
  egress: EgressListener,
  service: Service,
  port: ListenPort,
): readonly Contribution[] {
  if (port.protocol === 'udp') return [];
  const kind = isHttp(port.protocol) ? 'http' : isSniffed(port.protocol) ? 'auto' : 'tcp';
  const socket = egress.bind.startsWith('unix://');
  const bindToPort = socket || client.interception === 'NONE' || egress.captureMode === 'NONE';
  if (bindToPort && client.unprivileged && port.number < 1024 && !socket) return [];
  const local = client.ipFamily === 'v6' ? '::1' : '127.0.0.1';
  const given = egress.bind !== '' ? egress.bind : bindToPort ? local : '';
  const base = {
    port: port.number,
    bindToPort,
    kind,
    hostname: service.hostname,
    grpcWeb: port.protocol === 'grpc-web',
    proxy: egress.port?.protocol.toUpperCase() === 'HTTP_PROXY',
    ...(service.resolution === 'dynamic-dns' ? { dynamicHost: service.hostname } : {}),
    order: [service.creationTimestamp, service.registry === 'Kubernetes' ? 0 : 1, service.name, service.namespace].join(
      '|',
    ),
  } as const;
  if (kind === 'http') return [{ ...base, bind: given, extras: none, chains: none }];
  const addresses = addressesFor(read, service, client);
  const spots = given === '' && addresses.length === 0 ? headlessSpots(read, client, service, port) : undefined;
  const places = spots ?? (given === '' ? [placeOf(addresses)] : [{ bind: given, extras: none, cidrs: none }]);
  return places.map(({ bind, extras, cidrs }) => ({
    ...base,
    bind,
    extras,
    chains: tcpChains(read, client, { listener, service, port, cidrs, wildcard: bind === '' }),
  }));
}

interface Place {
  readonly bind: string;
  readonly extras: readonly string[];
  readonly cidrs: readonly string[];
}

/** Nothing can be bound to a CIDR: such services share the wildcard listener and are told apart by destination. */
function placeOf(addresses: readonly string[]): Place {
  const [bind = '', ...rest] = addresses;
  if (bind.includes('/')) return { bind: '', extras: none, cidrs: addresses };
  const extras = rest.filter((address) => !address.includes('/'));
  return { bind, extras: extras.length === 0 ? none : extras, cidrs: none };
}

/**
 * A listener for each endpoint of a service without an address, or undefined where the wildcard has to do. Connections
 * of a workload to itself do not pass its proxy.
 */
function headlessSpots(
  read: Read,
  client: OutboundClient,
  service: Service,
  port: ListenPort,
): readonly Place[] | undefined {
  if (service.resolution !== 'passthrough') return undefined;
  const endpoints = read(serviceEndpoints, { service: service.key, port: port.number });
  const selects = service.registry === 'Kubernetes' || partsOf(service).some(({ selector }) => selector !== undefined);
  if (!selects && endpoints.length === 0) return undefined;
  const own = client.addresses[0];
  const found = new Set(
    endpoints.map(({ address }) => address).filter((address) => isIP(address) !== 0 && address !== own),
  );
  if (read(facts, 'facts').features['PILOT_ENABLE_HEADLESS_FILTER_CHAIN_LISTENER'] === 'true') {
    return [...found].map((address) => ({ bind: '', extras: none, cidrs: [address] }));
  }
  return [...found].map((bind) => ({ bind, extras: none, cidrs: none }));
}
