// Decides which type a stream sends next: make before break (xDS protocol, "Eventual consistency considerations").
import type { ResourceType } from '../xds-types.ts';

/** One type of a stream, as far as order is concerned. */
export interface Lane {
  readonly type: ResourceType;
  /** A response is due to a request: never held back. */
  readonly answer: boolean;
  /** New or changed resources are owed. */
  readonly updates: boolean;
  /** Resources went away. */
  readonly removals: boolean;
  /** A response was sent and is neither accepted nor rejected yet. */
  readonly awaiting: boolean;
}

/** What holds pushes back, by the stream's clock. */
export interface Holds {
  /** Listeners and routes wait until new clusters have their endpoints. */
  readonly newClusters: boolean;
  /** Clusters are not removed before the listeners and routes of a new stream had their turn. */
  readonly young: boolean;
  /** The client did not answer in time: removals wait no longer. */
  readonly overdue: boolean;
}

/** What to send: everything owed, or of clusters only what is new, or only what is gone. */
export interface Pick {
  readonly type: ResourceType;
  readonly part: 'all' | 'updates' | 'removals';
}

/**
 * `lanes` in push order. Answers first; then updates, clusters before endpoints before listeners before routes; at
 * last the removal of clusters, once nothing that may refer to them is under way.
 */
export function nextPick(lanes: readonly Lane[], holds: Holds): Pick | undefined {
  for (const lane of lanes) {
    if (lane.answer) return { type: lane.type, part: lane.type === 'cluster' ? 'updates' : 'all' };
  }
  for (const lane of lanes) {
    if (lane.type === 'cluster') {
      if (lane.updates) return { type: 'cluster', part: 'updates' };
      continue;
    }
    if (!lane.updates && !lane.removals) continue;
    if (holds.newClusters && (lane.type === 'listener' || lane.type === 'route')) continue;
    return { type: lane.type, part: 'all' };
  }
  const cluster = lanes.find(({ type, removals }) => type === 'cluster' && removals);
  if (cluster === undefined || holds.young) return undefined;
  const referrersBusy = lanes.some(
    ({ type, updates, removals, awaiting }) =>
      (type === 'listener' || type === 'route') && (updates || removals || (awaiting && !holds.overdue)),
  );
  return referrersBusy ? undefined : { type: 'cluster', part: 'removals' };
}
