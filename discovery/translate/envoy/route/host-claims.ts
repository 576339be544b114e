// Who claims which virtual host on a port: services and VirtualServices in Istio's order, before short names are known.
import { meshGateway } from '../../../../config/gateway-name.ts';
import { compareText } from '../../../../config/object.ts';
import { query, type Read } from '../../../graph/graph.ts';
import { keyText } from '../../../graph/key-text.ts';
import { aliasesOf } from '../../../model/alias.ts';
import { type AddressClient, addressesFor } from '../../../model/client-addresses.ts';
import { type ClientView, clientViewId } from '../../../model/client-view.ts';
import { hostWithin, isWildcard } from '../../../model/hostname.ts';
import { routeShape, type VirtualRoutes } from '../../../model/route.ts';
import { inOrder, routeNamespaces, scopeRoutesOf } from '../../../model/scope-routes.ts';
import { serviceNamespaces } from '../../../model/scope-services.ts';
import { services } from '../../../model/services.ts';
import { appliesTo, asksForSource } from './http-routes.ts';
import { type PortService, portServices } from './port-services.ts';
import { consistentHashOf, resolution } from './resolution.ts';
import type { RulesSource, ServiceSource } from './virtual-host.ts';

/** A port behind one of a client's egress listeners; port 0 stands for all ports (explicit proxies, sockets). */
export interface ClaimsKey extends ClientView, AddressClient {
  readonly listener: number;
  readonly port: number;
}

/** One virtual host. */
export interface HostClaim {
  /** `host:port`, its name. */
  readonly name: string;
  readonly hostname: string;
  readonly port: number;
  /** What a service adds to the host's names; absent for hosts without one. */
  readonly service?: {
    readonly headless: boolean;
    readonly addresses: readonly string[];
    readonly aliases: readonly string[];
  };
  readonly source: ServiceSource | RulesSource;
  /** Text of the source, made once for all clients. */
  readonly sourceId: string;
}

/** The virtual hosts of a port in the order of their claims: the first to claim a domain keeps it. */
export interface HostClaims {
  readonly claims: readonly HostClaim[];
  /** Full names of the port's services, to which short forms of others give way. */
  readonly known: ReadonlySet<string>;
}

/** Gathers the claims of a port. */
export const hostClaims = query<ClaimsKey, HostClaims>(
  'host-claims',
  (read, key) => {
    const { listener, port } = key;
    const found = read(serviceNamespaces, 'all').flatMap((of) =>
      read(portServices, { ...key.view, listener, of, port }),
    );
    const gathering = new Gathering(read, key, found);
    for (const rules of rulesOf(read, key, found)) gathering.addRules(rules);
    gathering.addServices();
    return { claims: gathering.claims, known: new Set(found.map(({ hostname }) => hostname)) };
  },
  { idOf: claimsId, equals: sameClaims },
);

/** Text that identifies a port of a client: equal text, equal claims. */
export function claimsId(key: ClaimsKey): string {
  const { listener, port, ipFamily, settings } = key;
  return `${clientViewId(key)}|${listener}|${port}|${ipFamily}|${settings.dnsCapture === true}`;
}

function sameClaims(a: HostClaims, b: HostClaims): boolean {
  return (
    a.claims.length === b.claims.length &&
    a.known.size === b.known.size &&
    a.claims.every((claim, i) => sameClaim(claim, b.claims[i] as HostClaim)) &&
    [...a.known].every((host) => b.known.has(host))
  );
}

function sameClaim(a: HostClaim, b: HostClaim): boolean {
  return a.name === b.name && a.sourceId === b.sourceId && JSON.stringify(a.service) === JSON.stringify(b.service);
}

/**
 * VirtualServices in order. Port 80 is where hosts without a service are served, so all count there; elsewhere only
 * those that speak for some service on the port.
 */
function rulesOf(
  read: Read,
  { view, listener, port }: ClaimsKey,
  found: readonly PortService[],
): readonly VirtualRoutes[] {
  const keys =
    port === 80
      ? read(routeNamespaces, 'all').flatMap((of) => read(scopeRoutesOf, { ...view, listener, of }))
      : found.flatMap(({ naming, speaking }) => (speaking === undefined ? naming : [...naming, speaking]));
  return inOrder(read, view.namespace, [...new Set(keys)])
    .map((one) => read(routeShape, one))
    .filter((rules) => rules !== undefined)
    .map((rules) => rules as VirtualRoutes);
}

class Gathering {
  readonly claims: HostClaim[] = [];
  readonly #read: Read;
  readonly #key: ClaimsKey;
  readonly #byHost: ReadonlyMap<string, PortService>;
  /** Services by the VirtualService that speaks for them. */
  readonly #bySpeaker = new Map<string, PortService[]>();
  readonly #spoken = new Set<string>();
  readonly #names = new Set<string>();

  constructor(read: Read, key: ClaimsKey, found: readonly PortService[]) {
    this.#read = read;
    this.#key = key;
    this.#byHost = new Map(found.map((service) => [service.hostname, service]));
    for (const service of found) {
      if (service.speaking === undefined) continue;
      const spoken = this.#bySpeaker.get(service.speaking) ?? [];
      spoken.push(service);
      this.#bySpeaker.set(service.speaking, spoken);
    }
  }

  addRules(rules: VirtualRoutes): void {
    if (rules.http.length === 0) return;
    const matched: PortService[] = [];
    const unknown: string[] = [];
    for (const host of rules.hosts) {
      const found = this.#servicesOf(rules, host);
      if (found.length === 0) unknown.push(host);
      matched.push(...found);
    }
    const byPort = new Map<number, PortService[]>();
    for (const service of matched) {
      for (const port of service.ports) byPort.set(port, [...(byPort.get(port) ?? []), service]);
    }
    if (byPort.size === 0 && this.#key.port === 80) byPort.set(80, []);
    for (const [port, found] of [...byPort].sort(([a], [b]) => a - b)) {
      if (!this.#hasRoutes(rules, port)) continue;
      for (const service of found) {
        this.#spoken.add(service.hostname);
        this.#claim(service.hostname, service, port, rules);
      }
      for (const host of unknown) this.#claim(host, undefined, port, rules);
    }
  }

  addServices(): void {
    const rest = [...this.#byHost.values()].filter(({ hostname }) => !this.#spoken.has(hostname));
    for (const service of rest.sort((a, b) => compareText(a.hostname, b.hostname))) {
      for (const port of service.ports) this.#claim(service.hostname, service, port, undefined);
    }
  }

  #servicesOf(rules: VirtualRoutes, host: string): readonly PortService[] {
    if (!isWildcard(host)) {
      const service = this.#byHost.get(host);
      return service === undefined ? [] : [service];
    }
    return (this.#bySpeaker.get(rules.key) ?? []).filter(({ hostname }) => hostWithin(hostname, host));
  }

  #hasRoutes(rules: VirtualRoutes, port: number): boolean {
    const client = { port, gateways: [meshGateway], ...this.#key.source };
    return rules.http.some((rule) => {
      const matches = rule.match ?? [];
      return matches.length === 0 || matches.some((match) => appliesTo(match, client));
    });
  }

  #claim(hostname: string, found: PortService | undefined, port: number, rules: VirtualRoutes | undefined): void {
    const name = `${hostname}:${port}`;
    if (this.#names.has(name)) return;
    this.#names.add(name);
    const source = rules === undefined ? this.#serviceSource(hostname, port) : this.#rulesSource(rules, port);
    const service = found === undefined ? {} : this.#namesOf(found);
    this.claims.push({ name, hostname, port, ...service, source, sourceId: keyText(JSON.stringify(source)) });
  }

  #namesOf({ service: key, hostname }: PortService): Pick<HostClaim, 'service'> {
    const service = this.#read(services, key);
    if (service === undefined) return {};
    const addresses = addressesFor(this.#read, service, this.#key);
    const aliases = this.#read(aliasesOf, { namespace: this.#key.view.namespace, hostname });
    return { service: { headless: service.headless, addresses, aliases } };
  }

  #serviceSource(hostname: string, port: number): ServiceSource {
    const hash = consistentHashOf(this.#read, this.#key, hostname, port, '');
    return { kind: 'service', hostname, ...(hash === undefined ? {} : { hash }) };
  }

  #rulesSource(rules: VirtualRoutes, port: number): RulesSource {
    const { view, policy, source } = this.#key;
    const resolved = this.#read(resolution, { view, policy, rules: rules.key, port });
    return { kind: 'rules', rules: rules.key, ...resolved, ...(asksForSource(rules) ? { client: source } : {}) };
  }
}
