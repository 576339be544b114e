// Addresses of our own for ServiceEntries that have none, so that TCP to them can be told apart (240.240.0.0/16, 2001:2::/48).
import { createHash } from 'node:crypto';
import type { ServiceEntry } from '../../config/kinds/service-entry.ts';
import { keyOf } from '../../config/object.ts';
import { index } from '../graph/collect.ts';
import { query, type Read } from '../graph/graph.ts';
import type { Service } from './service.ts';
import { mayHaveAutoAddresses } from './service-definition.ts';
import { definitionsByObject, serviceDefinitions } from './service-definitions.ts';

/** Tries per service before it goes without a v4 address; at 10,000 services all find one within four. */
const tries = 16;
const space = 65_534;

/** Definitions by the addresses that their object's status gives them: nobody else gets these. */
const assigned = index('assigned-addresses', serviceDefinitions, (service) => service.autoAddresses);

/** Candidates by `try|offset`: who would take an address at which try. */
const contenders = index('auto-address-contenders', serviceDefinitions, (service, key) =>
  wantsAddress(service) ? Array.from({ length: tries }, (_, at) => `${at}|${offsetOf(key, at)}`) : [],
);

/** Whether a definition is to be given addresses: it may have them, and its status gives none. */
function wantsAddress(service: Service): boolean {
  return service.autoAddresses.length === 0 && mayHaveAutoAddresses(service);
}

/** The automatic addresses of a definition, by its key: those of its object's status, else computed; empty where it may have none. */
export const autoAddressesOf = query('auto-addresses', (read, key: string): readonly string[] => {
  const service = read(serviceDefinitions, key);
  if (service === undefined) return [];
  return wantsAddress(service) ? read(computedAddressesOf, key) : service.autoAddresses;
});

/** An address of a host, in the form of a ServiceEntry's `status.addresses`. */
export interface HostAddress {
  readonly value: string;
  readonly host: string;
}

/**
 * What a ServiceEntry's status is to say: the automatic addresses of each of its hosts; undefined where its status
 * lacks none.
 */
export function addressesToTell(read: Read, entry: ServiceEntry): readonly HostAddress[] | undefined {
  const keys = read(definitionsByObject, `ServiceEntry|${keyOf(entry.metadata)}`);
  const hosts = keys.flatMap((key) => {
    const service = read(serviceDefinitions, key);
    return service === undefined ? [] : [{ key, service }];
  });
  if (!hosts.some(({ service }) => wantsAddress(service))) return undefined;
  return hosts.flatMap(({ key, service }) =>
    read(autoAddressesOf, key).map((value) => ({ value, host: service.hostname })),
  );
}

/**
 * Addresses for a definition that has none, v4 first. Stable: they follow from the object's name and host, and a newcomer that
 * hashes to a taken one moves on unless its key sorts first (contract 5.2, #15).
 */
const computedAddressesOf = query('computed-addresses', (read, key: string): readonly string[] => {
  for (let at = 0; at < tries; at++) {
    const offset = offsetOf(key, at);
    if (read(winner, { at, offset }) === key) return [v4Of(offset), v6Of(key)];
  }
  return [v6Of(key)];
});

interface Slot {
  readonly at: number;
  readonly offset: number;
}

/** Who holds an offset after a number of tries: whoever came with fewer tries, then the first by key. */
const winner: ReturnType<typeof winnerQuery> = winnerQuery();

function winnerQuery() {
  return query<Slot, string | undefined>('auto-address-winner', winnerOf, {
    idOf: ({ at, offset }) => `${at}|${offset}`,
  });
}

function winnerOf(read: Read, { at, offset }: Slot): string | undefined {
  if (read(assigned, v4Of(offset)).length > 0) return undefined;
  const earlier = at === 0 ? undefined : read(winner, { at: at - 1, offset });
  if (earlier !== undefined) return earlier;
  return read(contenders, `${at}|${offset}`).find((key) => {
    for (let before = 0; before < at; before++) {
      if (read(winner, { at: before, offset: offsetOf(key, before) }) === key) return false;
    }
    return true;
  });
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function offsetOf(key: string, at: number): number {
  return 1 + (digestOf(`${at}\u0000${key}`).readUInt32BE(0) % space);
}

function v4Of(offset: number): string {
  return `240.240.${offset >> 8}.${offset & 255}`;
}

function v6Of(key: string): string {
  const digest = digestOf(key);
  const groups = [0, 2, 4, 6].map((at) => digest.readUInt16BE(at).toString(16));
  return `2001:2:0:${groups[0]}:${groups[1]}:${groups[2]}:${groups[3]}:1`;
}
