// Gateways of a proxy, merged: which servers share a port, and which are left out because they conflict.
import { isIP } from 'node:net';
import type { Gateway, GatewayServer } from '../../config/kinds/gateway.ts';
import { compareAge, keyOf } from '../../config/object.ts';
import { index } from '../graph/collect.ts';
import { query, type Read } from '../graph/graph.ts';
import { ingressGateways } from './ingress.ts';
import { objectCollection } from './object-collection.ts';
import { facts } from './objects.ts';
import { isHttp, parseProtocol } from './protocol.ts';
import type { Protocol } from './service.ts';
import type { ServiceTarget } from './service-target.ts';
import { services } from './services.ts';
import { selects } from './workload.ts';

/** Who asks: what decides which Gateways are a proxy's, and to which ports their servers go. */
export interface GatewayClient {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly targets: readonly ServiceTarget[];
}

/** A server that is in force on a port. */
export interface MergedServer {
  /** The Gateway, `namespace/name`. */
  readonly gateway: string;
  readonly server: GatewayServer;
  readonly protocol: Protocol;
  /** The server's own port number, by which VirtualServices match. */
  readonly number: number;
  /** `namespace/host` or `host`, with `.` resolved. */
  readonly hosts: readonly string[];
  /** Name of its route configuration; empty for TCP and TLS that passes through. */
  readonly routeName: string;
}

/** Servers that share a listener. */
export interface MergedPort {
  /** Port that the proxy listens on. */
  readonly port: number;
  /** Address, or empty for all. */
  readonly bind: string;
  readonly protocol: Protocol;
  /** Route configuration of plain HTTP. */
  readonly routeName: string;
  readonly servers: readonly MergedServer[];
}

/** Gateways that count, and those that Ingresses stand for, by `namespace/name`. */
export const gateways = objectCollection<'Gateway', Gateway>(
  'gateways',
  ['Gateway'],
  (_read, key, gateway) => new Map([[key, gateway]]),
  [ingressGateways],
);

const allGateways = index('gateways-all', gateways, () => ['all']);

/** Collections of this file, for the graph. */
export const gatewayCollections = [gateways];

/** A label by which a Service says that its ports are not to be translated to target ports. */
const noTranslation = 'experimental.istio.io/disable-gateway-port-translation';

/** Ports of a gateway with their servers, in the order in which the Gateways first name them. */
export const mergedGateways = query<GatewayClient, readonly MergedPort[]>(
  'merged-gateways',
  (read, client) => {
    const merging = new Merging(read, client.targets);
    for (const gateway of gatewaysOf(read, client)) merging.add(gateway);
    return merging.ports();
  },
  { idOf: (client) => JSON.stringify([client.namespace, client.labels, client.targets]) },
);

/** Whether the server ends TLS and then speaks HTTP. */
export function terminatesHttps({ protocol, server }: Pick<MergedServer, 'protocol' | 'server'>): boolean {
  return protocol === 'https' && server.tls !== undefined && !passesTls(server);
}

/** Whether TLS goes through the server unopened; a mode that is not set means so. */
export function passesTls({ tls }: GatewayServer): boolean {
  return tls !== undefined && (tls.mode === undefined || tls.mode === 'PASSTHROUGH' || tls.mode === 'AUTO_PASSTHROUGH');
}

/** A server's hosts that count for objects of a namespace, without their namespace. */
export function hostsFor(hosts: readonly string[], namespace: string): readonly string[] {
  return hosts.flatMap((host) => {
    const slash = host.indexOf('/');
    if (slash < 0) return [host];
    const wanted = host.slice(0, slash);
    return wanted === '*' || wanted === namespace ? [host.slice(slash + 1)] : [];
  });
}

/**
 * Services (`namespace/hostname`) whose pods a Gateway is for, where an annotation names them instead of a selector, as
 * gateways made of Gateway API objects have it.
 */
function servicesOf({ metadata }: Gateway): readonly string[] | undefined {
  const written = metadata.annotations?.['internal.istio.io/gateway-service'];
  return written?.split(',').map((hostname) => `${metadata.namespace}/${hostname}`);
}

/** Gateways that are for the proxy, the oldest first. */
function gatewaysOf(read: Read, { namespace, labels, targets }: GatewayClient): readonly Gateway[] {
  const scoped = read(facts, 'facts').features['PILOT_SCOPE_GATEWAY_TO_NAMESPACE'] === 'true';
  return read(allGateways, 'all')
    .map((key) => read(gateways, key))
    .filter((gateway) => gateway !== undefined)
    .filter((gateway) => {
      const own = servicesOf(gateway);
      if (own !== undefined) return targets.some(({ service }) => own.includes(service));
      const { metadata, spec } = gateway;
      return (!scoped || metadata.namespace === namespace) && selects(spec?.selector ?? {}, labels);
    })
    .sort(compareAge);
}

interface Building {
  readonly port: number;
  readonly bind: string;
  readonly protocol: Protocol;
  routeName: string;
  readonly servers: MergedServer[];
}

/** Takes servers in order. Of those that Envoy could not serve side by side, the first stays. */
class Merging {
  readonly #read: Read;
  readonly #targets: readonly ServiceTarget[];
  readonly #built = new Map<string, Building>();
  readonly #numbers = new Set<number>();
  /** The first plain-text listener of each port. */
  readonly #plain = new Map<number, Building>();
  readonly #otherBinds = new Map<number, Set<string>>();
  readonly #routeNames = new Set<string>();
  readonly #tlsHosts = new Map<number, Map<string, string>>();

  constructor(read: Read, targets: readonly ServiceTarget[]) {
    this.#read = read;
    this.#targets = targets;
  }

  ports(): readonly MergedPort[] {
    return [...this.#built.values()];
  }

  add(gateway: Gateway): void {
    const names = new Set<string>();
    for (const server of gateway.spec?.servers ?? []) {
      const name = server.name ?? '';
      if ((name !== '' && names.has(name)) || !isListenable(server)) continue;
      names.add(name);
      for (const port of this.#listeningPorts(gateway, server.port?.number ?? 0)) this.#place(gateway, server, port);
    }
  }

  /** The port that the gateway's own Services lead to; the number itself where none has it. */
  #listeningPorts(gateway: Gateway, number: number): readonly number[] {
    const own = servicesOf(gateway);
    if (own !== undefined) {
      const ports = this.#targets.filter((target) => target.port === number && own.includes(target.service));
      return [...new Set(ports.map(({ targetPort }) => targetPort))].sort((a, b) => a - b);
    }
    const ports = this.#targets
      .filter(
        ({ port, service }) => port === number && this.#read(services, service)?.labels[noTranslation] === undefined,
      )
      .map(({ targetPort }) => targetPort);
    return [ports.length === 0 ? number : Math.min(...ports)];
  }

  #place(gateway: Gateway, server: GatewayServer, port: number): void {
    const merged = mergedServer(gateway, server, port);
    const bind = server.bind ?? '';
    if (server.tls !== undefined && this.#takesKnownHost(server, merged.hosts, port)) return;
    const { protocol } = merged;
    if (!this.#numbers.has(port)) {
      this.#numbers.add(port);
      const built = this.#open(merged, port, bind);
      if (!isTlsServer(merged)) this.#plain.set(port, built);
    } else {
      const plain = this.#plain.get(port);
      if (plain === undefined) this.#joinTls(merged, port, bind);
      else if (plain.bind !== bind) this.#open(merged, port, bind);
      else if (merged.routeName !== '' && isHttp(protocol) && (isHttp(plain.protocol) || plain.protocol === protocol))
        plain.servers.push(merged);
    }
  }

  #joinTls(merged: MergedServer, port: number, bind: string): void {
    const http = isHttp(merged.protocol) || terminatesHttps(merged);
    if (http && (merged.routeName === '' || this.#routeNames.has(merged.routeName))) return;
    const binds = this.#otherBinds.get(port) ?? new Set();
    const isNew = !binds.has(bind);
    binds.add(bind);
    this.#otherBinds.set(port, binds);
    if (merged.server.tls === undefined && !isNew) return;
    const built = this.#open(merged, port, bind);
    // From here on the port is one of plain text: what comes later must go together with this server.
    if (!isTlsServer(merged)) this.#plain.set(port, built);
  }

  /** Adds to the listener of that port, protocol and bind, which may be new. */
  #open(merged: MergedServer, port: number, bind: string): Building {
    const id = `${port}|${merged.protocol}|${bind}`;
    const known = this.#built.get(id);
    if (merged.routeName !== '') this.#routeNames.add(merged.routeName);
    if (known !== undefined) {
      known.servers.push(merged);
      return known;
    }
    const built: Building = { port, bind, protocol: merged.protocol, routeName: merged.routeName, servers: [merged] };
    this.#built.set(id, built);
    return built;
  }

  /** Envoy refuses two filter chains for one server name. */
  #takesKnownHost({ bind = '' }: GatewayServer, hosts: readonly string[], port: number): boolean {
    const known = this.#tlsHosts.get(port) ?? new Map<string, string>();
    this.#tlsHosts.set(port, known);
    const taken = hosts.some((host) => known.get(host) === bind);
    // A server that is left out claims none of its hosts.
    if (!taken) for (const host of hosts) known.set(host, bind);
    return taken;
  }
}

function mergedServer(gateway: Gateway, server: GatewayServer, port: number): MergedServer {
  const { name, namespace } = gateway.metadata;
  const protocol = parseProtocol(server.port?.protocol ?? '');
  const number = server.port?.number ?? 0;
  const hosts = (server.hosts ?? []).map((host) => sanitised(host, namespace));
  const bind = (server.bind ?? '') === '' ? '' : `.${server.bind}`;
  const own = { gateway: keyOf(gateway.metadata), server, protocol, number, hosts };
  if (isHttp(protocol)) return { ...own, routeName: `http.${port}${bind}` };
  const routeName = terminatesHttps(own)
    ? `https.${number}.${server.port?.name ?? ''}.${name}.${namespace}${bind}`
    : '';
  return { ...own, routeName };
}

/** Whether Envoy could listen there: on a socket's path, or an address with a port. */
function isListenable({ bind = '', port }: GatewayServer): boolean {
  if (bind.startsWith('unix://')) return port !== undefined;
  const number = port?.number ?? 0;
  return number >= 1 && number <= 65_535 && (bind === '' || isIP(bind) !== 0);
}

function isTlsServer({ protocol, server }: MergedServer): boolean {
  return server.tls !== undefined && !isHttp(protocol);
}

/** `./host` is of the Gateway's namespace, `*` + `/host` of any. */
function sanitised(host: string, namespace: string): string {
  const slash = host.indexOf('/');
  if (slash < 0) return host;
  const prefix = host.slice(0, slash);
  if (prefix === '.') return `${namespace}/${host.slice(slash + 1)}`;
  return prefix === '*' ? host.slice(slash + 1) : host;
}
