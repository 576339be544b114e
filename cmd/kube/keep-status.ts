// The statuses that this control plane writes, as long as it runs: of mesh objects, and the addresses of ServiceEntries.
import { Counter, type Registry } from 'prom-client';
import type { CheckObject } from '../../config/sources/source.ts';
import { addressesToTell } from '../../discovery/model/auto-address.ts';
import { isCounted } from '../../discovery/model/object-collection.ts';
import { facts, meshConfigMapKey } from '../../discovery/model/objects.ts';
import type { ControlPlane } from '../compose.ts';
import { rest } from '../rest.ts';
import { EntryAddresses } from './entry-addresses.ts';
import { addressesLease, statusLease } from './names.ts';
import { ObjectStatus } from './object-status.ts';
import { rejectedObjects } from './rejected-objects.ts';
import { endingInTurn, type LeadingOptions, whileLeading } from './while-leading.ts';

/** Counts statuses by `writer` (`objects`, `addresses`) and `outcome` (`written`, `failed`). */
export type StatusWriteCounter = Counter<'writer' | 'outcome'>;

/** The counter of statuses that were written. */
export function statusWriteCounter(registry: Registry): StatusWriteCounter {
  return new Counter({
    name: 'meltemi_status_writes_total',
    help: 'Statuses written to the API server, and attempts that failed.',
    labelNames: ['writer', 'outcome'],
    registers: [registry],
  });
}

/** Has the status of mesh objects say what is wrong with them, until disposed. Written by the leader of the replicas. */
export function keepObjectStatus(
  plane: ControlPlane,
  leading: Omit<LeadingOptions, 'lease'>,
  check: CheckObject,
  counter: StatusWriteCounter,
): AsyncDisposable {
  const { settings, store, graph, xds, surroundings } = plane;
  const status = new ObjectStatus({
    api: leading.api,
    store,
    check,
    surroundings,
    rejections: () => rejectedObjects(xds.publisher.streams, (kind, key) => store.get(kind, key)),
    isCounted: (kind, namespace) => isCounted(graph.read, kind, namespace),
    meshConfigMap: meshConfigMapKey(graph.read(facts, 'facts')),
    sleep: rest,
    now: Date.now,
    count: (outcome) => counter.inc({ writer: 'objects', outcome }),
    log: (message) => leading.log.warn(message),
  });
  const lead = whileLeading({ ...leading, lease: statusLease(settings.revision) }, (leads) => status.lead(leads));
  return endingInTurn(status, lead);
}

/** Has the status of ServiceEntries tell their automatic addresses, until disposed (PILOT_ENABLE_IP_AUTOALLOCATE). */
export function keepEntryAddresses(
  plane: ControlPlane,
  leading: Omit<LeadingOptions, 'lease'>,
  counter: StatusWriteCounter,
): AsyncDisposable | undefined {
  const { settings, store, graph, xds } = plane;
  if (!settings.entryAddresses) return undefined;
  const addresses = new EntryAddresses({
    api: leading.api,
    store,
    addressesOf: (entry) => addressesToTell(graph.read, entry),
    published: () => xds.publisher.idle(),
    sleep: rest,
    now: Date.now,
    count: (outcome) => counter.inc({ writer: 'addresses', outcome }),
    log: (message) => leading.log.warn(message),
  });
  const lead = whileLeading({ ...leading, lease: addressesLease(settings.revision) }, (leads) => addresses.lead(leads));
  return endingInTurn(addresses, lead);
}
