// Which outbound listeners a sidecar has: the parts of services that share an address and port, merged by Istio's rules.
import { compareText } from '../../../../config/object.ts';
import { query, type Read } from '../../../graph/graph.ts';
import { keyText } from '../../../graph/key-text.ts';
import { parseRange } from '../../../model/address.ts';
import { serviceNamespaces } from '../../../model/scope-services.ts';
import { sidecarScope } from '../../../model/sidecar-scope.ts';
import { type Contribution, clientId, type OutboundClient, outboundContributions } from './contribution.ts';
import type { TcpChain } from './tcp-chains.ts';

/** How a listener serves HTTP. */
export interface HttpPart {
  readonly routeName: string;
  readonly grpcWeb: boolean;
  /** A forward proxy, called with whole URLs. */
  readonly proxy: boolean;
  readonly dynamicHost?: string;
}

/** One outbound listener of services. Plain data: the key of its cell. */
export interface OutboundPlan {
  readonly name: string;
  /** Addresses, the first one being the primary. A path (`unix://`) stands alone. */
  readonly binds: readonly string[];
  readonly port: number;
  readonly bindToPort: boolean;
  readonly http?: HttpPart;
  readonly chains: readonly TcpChain[];
  /** Text of all of the above, made once. */
  readonly id: string;
}

/** Listeners of a client's services, sorted by name. */
export const outboundPlans = query<OutboundClient, readonly OutboundPlan[]>(
  'outbound-plans',
  (read, client) => {
    const merged = new Map<string, Merged>();
    const { egress } = read(sidecarScope, client.view);
    egress.forEach((listener, index) => {
      // Listeners with a port of their own are not added to by the one that stands for all other ports.
      if (listener.port === undefined) for (const entry of merged.values()) entry.locked = true;
      for (const part of inOrder(partsOf(read, client, index))) add(merged, part, client.ipFamily);
    });
    return plansOf(merged, client.ipFamily).sort((a, b) => compareText(a.name, b.name));
  },
  {
    idOf: clientId,
    equals: (a, b) => a.length === b.length && a.every((plan, i) => plan.id === b[i]?.id),
  },
);

interface Merged {
  readonly bind: string;
  /** Further addresses, as long as no other listener has them. */
  readonly extras: readonly string[];
  readonly port: number;
  readonly bindToPort: boolean;
  locked: boolean;
  http: HttpPart | undefined;
  readonly chains: TcpChain[];
  /** Single conditions that its chains take: Envoy refuses a second chain with one of them. */
  readonly taken: Set<string>;
}

function partsOf(read: Read, client: OutboundClient, listener: number): readonly Contribution[] {
  return read(serviceNamespaces, 'all').flatMap((of) => read(outboundContributions, { ...client, listener, of }));
}

function inOrder(parts: readonly Contribution[]): readonly Contribution[] {
  return [...parts].sort((a, b) => compareText(a.order, b.order));
}

/** Ports that the sidecar itself listens on. */
const reserved: ReadonlySet<number> = new Set([15001, 15006]);

function add(merged: Map<string, Merged>, part: Contribution, ipFamily: OutboundClient['ipFamily']): void {
  if (part.bind === '' && reserved.has(part.port)) return;
  const bind = part.bind === '' ? wildcards(ipFamily)[0] : part.bind;
  const key = `${bind}_${part.port}`;
  const { port, bindToPort, extras } = part;
  const fresh = {
    bind: part.bind,
    extras,
    port,
    bindToPort,
    locked: false,
    http: undefined,
    chains: [],
    taken: new Set<string>(),
  };
  const present: Merged = merged.get(key) ?? fresh;
  merged.set(key, present);
  // A second HTTP service shares the routes of the first; a second sniffed one would hide the first.
  if (present.locked || (part.kind === 'auto' && present.http !== undefined && present.chains.length > 0)) return;
  if (part.kind !== 'tcp') present.http ??= httpPart(part);
  for (const chain of part.chains) {
    const rest = untaken(chain, present.taken);
    if (rest !== undefined) present.chains.push(rest);
  }
}

function httpPart(part: Contribution): HttpPart {
  const sniffed = part.kind === 'auto' && part.bind !== '';
  const routeName = part.port === 0 ? part.bind : sniffed ? `${part.hostname}:${part.port}` : String(part.port);
  return {
    routeName,
    grpcWeb: part.grpcWeb,
    proxy: part.proxy,
    ...(part.dynamicHost === undefined ? {} : { dynamicHost: part.dynamicHost }),
  };
}

/** What of a chain's conditions no earlier chain takes, which are then taken; undefined where nothing is left. */
function untaken(chain: TcpChain, taken: Set<string>): TcpChain | undefined {
  const names = chain.sni.length === 0 ? [''] : [...new Set(chain.sni.map((name) => name.toLowerCase()))];
  const ranges = new Map((chain.cidrs.length === 0 ? [''] : chain.cidrs).map((cidr) => [maskedRange(cidr), cidr]));
  const isFree = (name: string, range: string): boolean => !taken.has(`${name}|${range}`);
  const freeNames = names.filter((name) => [...ranges.keys()].every((range) => isFree(name, range)));
  const keptNames = freeNames.length > 0 ? freeNames : names;
  const keptRanges = [...ranges].filter(([range]) => keptNames.every((name) => isFree(name, range)));
  if (keptRanges.length === 0) return undefined;
  for (const name of keptNames) for (const [range] of keptRanges) taken.add(`${name}|${range}`);
  return {
    ...chain,
    sni: keptNames.filter((name) => name !== ''),
    cidrs: keptRanges.map(([, cidr]) => cidr).filter((cidr) => cidr !== ''),
  };
}

/** A CIDR with the bits behind its prefix cleared, as text that is equal for equal ranges. */
function maskedRange(text: string): string {
  const range = parseRange(text);
  if (range === undefined) return text;
  const groups = range.address.includes(':') ? ipv6Groups(range.address) : range.address.split('.').map(Number);
  const width = range.address.includes(':') ? 16 : 8;
  const masked = groups.map((group, i) => {
    const kept = Math.min(Math.max(range.bits - i * width, 0), width);
    return Math.floor(group / 2 ** (width - kept)) * 2 ** (width - kept);
  });
  return `${masked.join('.')}/${range.bits}`;
}

function ipv6Groups(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array<string>(Math.max(zeros, 0)).fill('0'), ...right].map((group) => Number.parseInt(group, 16));
}

/** The addresses that stand for all of a client's families. */
export function wildcards(ipFamily: OutboundClient['ipFamily']): readonly [string, ...string[]] {
  if (ipFamily === 'dual') return ['0.0.0.0', '::'];
  return ipFamily === 'v6' ? ['::'] : ['0.0.0.0'];
}

function plansOf(merged: ReadonlyMap<string, Merged>, ipFamily: OutboundClient['ipFamily']): OutboundPlan[] {
  const taken = new Set(merged.keys());
  return [...merged.values()].map((entry) => {
    const free = entry.extras.filter((extra) => !taken.has(`${extra}_${entry.port}`));
    for (const extra of free) taken.add(`${extra}_${entry.port}`);
    return planOf({ ...entry, extras: free }, ipFamily);
  });
}

function planOf(entry: Merged, ipFamily: OutboundClient['ipFamily']): OutboundPlan {
  const { bind, extras, port, bindToPort, http, chains } = entry;
  const binds = bind === '' ? wildcards(ipFamily) : [bind, ...extras];
  return identified({
    name: `${binds[0]}_${port}`,
    binds,
    port,
    bindToPort,
    ...(http === undefined ? {} : { http }),
    chains,
  });
}

/** Completes a plan with its text. */
export function identified(plan: Omit<OutboundPlan, 'id'>): OutboundPlan {
  return { ...plan, id: keyText(JSON.stringify(plan)) };
}
