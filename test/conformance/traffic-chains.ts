// Which filter chain of a listener a connection takes: criterion by criterion, the best match of each.
import { BlockList, isIPv6 } from 'node:net';
import type { ResourceJson } from '../../discovery/dump.ts';
import { list, member, nameOf, number, text, texts } from './traffic-json.ts';

/** What a listener knows of a connection. */
export interface Connection {
  readonly address: string;
  readonly port: number;
  readonly tls: 'plaintext' | 'tls' | 'mtls';
  readonly sni?: string;
  readonly alpn: string | undefined;
  /** A filter looks for TLS on this port; without one all is raw bytes. */
  readonly tlsSeen: boolean;
}

/** One step of the sieve: whether a match sets the criterion, and how well it fits; undefined is not at all. */
interface Criterion {
  readonly isSet: (match: ResourceJson) => boolean;
  readonly rank: (match: ResourceJson, connection: Connection) => number | undefined;
}

const fits = (does: boolean): number | undefined => (does ? 0 : undefined);

const criteria: readonly Criterion[] = [
  {
    isSet: (match) => number(match, 'destinationPort') !== 0,
    rank: (match, { port }) => fits(number(match, 'destinationPort') === port),
  },
  {
    isSet: (match) => list(match, 'prefixRanges').length > 0,
    rank: (match, { address }) =>
      best(
        list(match, 'prefixRanges').map((range) => (covers(range, address) ? number(range, 'prefixLen') : undefined)),
      ),
  },
  {
    isSet: (match) => texts(match, 'serverNames').length > 0,
    rank: (match, { sni = '' }) => best(texts(match, 'serverNames').map((name) => rankOfServerName(name, sni))),
  },
  {
    isSet: (match) => text(match, 'transportProtocol') !== '',
    rank: (match, { tls, tlsSeen }) =>
      fits(text(match, 'transportProtocol') === (tlsSeen && tls !== 'plaintext' ? 'tls' : 'raw_buffer')),
  },
  {
    isSet: (match) => texts(match, 'applicationProtocols').length > 0,
    rank: (match, { alpn }) => fits(alpn !== undefined && texts(match, 'applicationProtocols').includes(alpn)),
  },
];

/** The chain of a connection, or why there is none. */
export function chooseChain(listener: ResourceJson, connection: Connection): ResourceJson | string {
  let chains = list(listener, 'filterChains');
  for (const criterion of criteria) chains = sieve(chains, criterion, connection);
  const [only] = chains;
  if (chains.length > 1) return 'multiple filter chains matched';
  if (only !== undefined) return only;
  return listener['defaultFilterChain'] === undefined
    ? 'no filter chains matched'
    : member(listener, 'defaultFilterChain');
}

function sieve(
  chains: readonly ResourceJson[],
  { isSet, rank }: Criterion,
  connection: Connection,
): readonly ResourceJson[] {
  const set = chains.filter((chain) => isSet(member(chain, 'filterChainMatch')));
  if (set.length === 0) return chains;
  const ranks = set.map((chain) => rank(member(chain, 'filterChainMatch'), connection));
  const highest = best(ranks);
  return highest === undefined ? chains.filter((c) => !set.includes(c)) : set.filter((_, i) => ranks[i] === highest);
}

function best(ranks: readonly (number | undefined)[]): number | undefined {
  return ranks.reduce((a, b) => (a === undefined || (b !== undefined && b > a) ? b : a), undefined);
}

function covers(range: ResourceJson, address: string): boolean {
  const prefix = text(range, 'addressPrefix');
  const ranges = new BlockList();
  ranges.addSubnet(prefix, number(range, 'prefixLen'), familyOf(prefix));
  return familyOf(prefix) === familyOf(address) && ranges.check(address, familyOf(address));
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}

function rankOfServerName(name: string, sni: string): number | undefined {
  if (name === sni) return Number.POSITIVE_INFINITY;
  return name.startsWith('*') && sni.endsWith(name.slice(1)) ? name.length : undefined;
}

/** Whether a listener has a listener filter that works on this port. */
export function hasListenerFilter(listener: ResourceJson, name: string, port: number): boolean {
  return list(listener, 'listenerFilters').some(
    (filter) =>
      nameOf(filter) === name &&
      !(filter['filterDisabled'] !== undefined && holds(member(filter, 'filterDisabled'), port)),
  );
}

/** Evaluates envoy.config.listener.v3.ListenerFilterChainMatchPredicate. */
function holds(predicate: ResourceJson, port: number): boolean {
  if (predicate['anyMatch'] === true) return true;
  if (predicate['notMatch'] !== undefined) return !holds(member(predicate, 'notMatch'), port);
  if (predicate['orMatch'] !== undefined)
    return list(member(predicate, 'orMatch'), 'rules').some((rule) => holds(rule, port));
  if (predicate['andMatch'] !== undefined)
    return list(member(predicate, 'andMatch'), 'rules').every((rule) => holds(rule, port));
  const range = member(predicate, 'destinationPortRange');
  return port >= number(range, 'start') && port < number(range, 'end');
}
