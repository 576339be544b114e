// Which virtual hosts a sidecar's route configuration has: names, domains without duplicates, and whose routes they take.
import { compareText } from '../../../../config/object.ts';
import { query, type Read } from '../../../graph/graph.ts';
import { aliasesOf } from '../../../model/alias.ts';
import { type AddressClient, addressesFor } from '../../../model/client-addresses.ts';
import { hostWithin, isWildcard } from '../../../model/hostname.ts';
import { type VirtualRoutes, virtualServices } from '../../../model/route.ts';
import { inOrder, routeNamespaces, scopeRoutesOf } from '../../../model/scope-routes.ts';
import { serviceNamespaces } from '../../../model/scope-services.ts';
import { services } from '../../../model/services.ts';
import { serviceDomains } from './domains.ts';
import { appliesTo, asksForSource } from './http-routes.ts';
import { type PortService, portServices } from './port-services.ts';
import { consistentHashOf, resolution } from './resolution.ts';
import type { VirtualHostKey } from './virtual-host.ts';

/** The client of a route configuration, as far as its virtual hosts depend on it. */
export interface RouteClient extends AddressClient {
  readonly namespace: string;
  readonly scope: string;
  readonly dnsDomain: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** A port behind one of the client's egress listeners; port 0 stands for all ports (explicit proxies, sockets). */
export interface PlanKey extends RouteClient {
  readonly listener: number;
  readonly port: number;
  readonly attemptCount: boolean;
}

/** Virtual hosts of a port, sorted by name. */
export const virtualHostPlan = query<PlanKey, readonly VirtualHostKey[]>(
  'virtual-host-plan',
  (read, key) => {
    const { namespace, scope, listener, port } = key;
    const found = read(serviceNamespaces, 'all').flatMap((of) =>
      read(portServices, { namespace, scope, listener, of, port }),
    );
    const plan = new Plan(read, key, found);
    for (const rules of rulesOf(read, key, found)) plan.addRules(rules);
    plan.addServices();
    return plan.hosts();
  },
  { idOf: (key) => JSON.stringify(planId(key)) },
);

function planId(key: PlanKey): readonly unknown[] {
  const { namespace, scope, dnsDomain, labels, ipFamily, settings, listener, port, attemptCount } = key;
  const dns = settings.dnsCapture === true;
  return [namespace, scope, listener, port, dnsDomain, labels, ipFamily, dns, attemptCount];
}

/**
 * VirtualServices in order. Port 80 is where hosts without a service are served, so all count there; elsewhere only
 * those that speak for some service on the port.
 */
function rulesOf(read: Read, key: PlanKey, found: readonly PortService[]): readonly VirtualRoutes[] {
  const { namespace, scope, listener, port } = key;
  const keys =
    port === 80
      ? read(routeNamespaces, 'all').flatMap((of) => read(scopeRoutesOf, { namespace, scope, listener, of }))
      : found.flatMap(({ naming, speaking }) => (speaking === undefined ? naming : [...naming, speaking]));
  return inOrder(read, namespace, [...new Set(keys)])
    .map((one) => read(virtualServices, one))
    .filter((rules) => rules !== undefined)
    .map((rules) => rules as VirtualRoutes);
}

interface Claim {
  readonly name: string;
  readonly hostname: string;
  readonly service: PortService | undefined;
  readonly port: number;
  readonly rules?: string;
}

/** Gathers virtual hosts in Istio's order: the first to claim a name or domain keeps it. */
class Plan {
  readonly #read: Read;
  readonly #key: PlanKey;
  readonly #byHost: ReadonlyMap<string, PortService>;
  /** Services whose best rules are those of a VirtualService's wildcard. */
  readonly #bySpeaker = new Map<string, PortService[]>();
  readonly #spoken = new Set<string>();
  readonly #claims: Claim[] = [];
  readonly #names = new Set<string>();

  constructor(read: Read, key: PlanKey, found: readonly PortService[]) {
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
      const services = this.#servicesOf(rules, host);
      if (services.length === 0) unknown.push(host);
      matched.push(...services);
    }
    const byPort = new Map<number, PortService[]>();
    for (const service of matched) {
      for (const port of service.ports) byPort.set(port, [...(byPort.get(port) ?? []), service]);
    }
    if (byPort.size === 0 && this.#key.port === 80) byPort.set(80, []);
    for (const [port, services] of [...byPort].sort(([a], [b]) => a - b)) {
      if (!this.#hasRoutes(rules, port)) continue;
      for (const service of services) {
        this.#spoken.add(service.hostname);
        this.#claim(service.hostname, service, port, rules.key);
      }
      for (const host of unknown) this.#claim(host, undefined, port, rules.key);
    }
  }

  addServices(): void {
    const rest = [...this.#byHost.values()].filter(({ hostname }) => !this.#spoken.has(hostname));
    for (const service of rest.sort((a, b) => compareText(a.hostname, b.hostname))) {
      for (const port of service.ports) this.#claim(service.hostname, service, port);
    }
  }

  hosts(): readonly VirtualHostKey[] {
    const taken = new Set<string>();
    const known = new Set([...this.#byHost.keys()]);
    const hosts: VirtualHostKey[] = [];
    for (const claim of this.#claims) {
      const { all, short } = this.#domainsOf(claim.hostname, claim.service);
      const shortForms = new Set(short);
      // A listener for all ports puts the same host on several ports. The first one gets the bare name: Envoy takes the
      // port off Host before it compares, so that the forms with a port keep names apart but match nothing.
      const forms = this.#key.port === 0 ? all.flatMap((domain) => [domain, `${domain}:${claim.port}`]) : all;
      const domains = forms.filter((domain) => {
        const lower = domain.toLowerCase();
        if (taken.has(lower) || (shortForms.has(domain) && known.has(domain))) return false;
        taken.add(lower);
        return true;
      });
      if (domains.length > 0) hosts.push(this.#host(claim, domains));
    }
    return hosts.sort((a, b) => compareText(a.name, b.name));
  }

  #servicesOf(rules: VirtualRoutes, host: string): readonly PortService[] {
    if (!isWildcard(host)) {
      const service = this.#byHost.get(host);
      return service === undefined ? [] : [service];
    }
    return (this.#bySpeaker.get(rules.key) ?? []).filter(({ hostname }) => hostWithin(hostname, host));
  }

  #claim(hostname: string, service: PortService | undefined, port: number, rules?: string): void {
    const name = `${hostname}:${port}`;
    if (this.#names.has(name)) return;
    this.#names.add(name);
    this.#claims.push({ name, hostname, service, port, ...(rules === undefined ? {} : { rules }) });
  }

  #hasRoutes(rules: VirtualRoutes, port: number): boolean {
    const { namespace, labels } = this.#key;
    const client = { port, gateways: ['mesh'], namespace, labels };
    return rules.http.some((rule) => {
      const matches = rule.match ?? [];
      return matches.length === 0 || matches.some((match) => appliesTo(match, client));
    });
  }

  #domainsOf(hostname: string, found: PortService | undefined) {
    const service = found === undefined ? undefined : this.#read(services, found.service);
    if (service === undefined) return { all: [hostname], short: [] };
    const addresses = addressesFor(this.#read, service, this.#key);
    const aliases = this.#read(aliasesOf, { namespace: this.#key.namespace, hostname });
    return serviceDomains({ hostname, headless: service.headless, addresses, aliases }, this.#key.dnsDomain);
  }

  #host(claim: Claim, domains: readonly string[]): VirtualHostKey {
    const { name, port, hostname, rules } = claim;
    const { attemptCount, namespace, scope, labels } = this.#key;
    const base = { name, domains, port, attemptCount, streamTimeouts: false };
    const client = { namespace, scope, labels };
    if (rules === undefined) {
      const hash = consistentHashOf(this.#read, client, hostname, port, '');
      return { ...base, source: { kind: 'service', hostname, ...(hash === undefined ? {} : { hash }) } };
    }
    const resolved = this.#read(resolution, { ...client, rules, port });
    const item = this.#read(virtualServices, rules);
    const source = item !== undefined && asksForSource(item) ? { client: { namespace, labels } } : {};
    return { ...base, source: { kind: 'rules', rules, ...resolved, ...source } };
  }
}
