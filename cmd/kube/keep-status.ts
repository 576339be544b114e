// The statuses that this control plane writes, as long as it runs: of mesh objects, and the addresses of ServiceEntries.
import { Counter, type Registry } from 'prom-client';
import type { CheckObject } from '../../config/sources/source.ts';
import { addressesToTell } from '../../discovery/model/auto-address.ts';
import { isCounted } from '../../discovery/model/object-collection.ts';
import { facts, meshConfigMapKey } from '../../discovery/model/objects.ts';
import type { ControlPlane } from '../compose.ts';
import { rest } from '../rest.ts';
import { EntryAddresses } from './entry-addresses.ts';
import { addressesLease, rejectionsLease, statusLease } from './names.ts';
import { ObjectStatus } from './object-status.ts';
import { rejectedObjects } from './rejected-objects.ts';
import { type RejectionReport, rejectedResources } from './rejected-resources.ts';
import { RejectionBoard } from './rejection-board.ts';
import { replicaBoard } from './replica-board.ts';
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

/**
 * Has the status of mesh objects say what is wrong with them, until disposed. Written by the leader of the replicas, which
 * hears from the others what their proxies reject. Without an election there are no others to agree with.
 */
export function keepObjectStatus(
  plane: ControlPlane,
  leading: Omit<LeadingOptions, 'lease'>,
  check: CheckObject,
  counter: StatusWriteCounter,
): AsyncDisposable {
  const { settings, store, graph, xds, surroundings } = plane;
  const own = () => rejectedResources(xds.publisher.streams, (kind, key) => store.get(kind, key));
  const board = leading.elect ? shareRejections(plane, leading, own) : undefined;
  const status = new ObjectStatus({
    api: leading.api,
    store,
    check,
    surroundings,
    rejections: () => rejectedObjects(board?.reports() ?? [own()]),
    isCounted: (kind, namespace) => isCounted(graph.read, kind, namespace),
    meshConfigMap: meshConfigMapKey(graph.read(facts, 'facts')),
    sleep: rest,
    random: Math.random,
    now: Date.now,
    count: (outcome) => counter.inc({ writer: 'objects', outcome }),
    log: (message) => leading.log.warn(message),
  });
  let leads = false;
  const lead = whileLeading({ ...leading, lease: statusLease(settings.revision) }, (now) => {
    leads = now;
    const looked = board?.lead(now);
    // A new leader shall not say less than the others know.
    if (now && looked !== undefined) void looked.then(() => leads && status.lead(true));
    else status.lead(now);
  });
  return endingInTurn(status, board === undefined ? lead : endingInTurn(board, lead));
}

function shareRejections(
  { settings, metrics }: ControlPlane,
  { api, namespace, holder, leaseMs, log }: Omit<LeadingOptions, 'lease'>,
  own: () => RejectionReport,
): RejectionBoard {
  const counter = new Counter({
    name: 'meltemi_rejection_reports_total',
    help: 'Writes of what proxies reject to the place where all replicas report it, and rounds that failed.',
    labelNames: ['outcome'],
    registers: [metrics.registry],
  });
  const board = new RejectionBoard({
    board: replicaBoard(api, namespace, rejectionsLease(settings.revision)),
    ...{ name: holder, own, leaseMs, sleep: rest },
    monotonic: () => performance.now(),
    now: Date.now,
    random: Math.random,
    count: (outcome) => counter.inc({ outcome }),
    log: (message) => log.warn(message),
  });
  metrics.gauge(
    'meltemi_rejecting_replicas',
    'Other replicas whose rejections this one, their leader, counts; absent where it does not lead.',
    () => board.heard,
  );
  return board;
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
    random: Math.random,
    now: Date.now,
    count: (outcome) => counter.inc({ writer: 'addresses', outcome }),
    log: (message) => leading.log.warn(message),
  });
  const lead = whileLeading({ ...leading, lease: addressesLease(settings.revision) }, (leads) => addresses.lead(leads));
  return endingInTurn(addresses, lead);
}
