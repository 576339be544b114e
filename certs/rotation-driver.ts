// Drives a root rotation: takes the next step when every connected proxy is ready for it, and says who is not.
import type { Authority } from './authority.ts';
import type { CaStore } from './ca-record.ts';
import type { CertsEnvironment } from './environment.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';
import { isSamePlace, type Place } from './replica-report.ts';
import { createRoot, type RootOptions } from './root.ts';
import {
  advanceRotation,
  cancelRotation,
  holdRotation,
  type Rotation,
  type RotationStep,
  rotationOf,
  startRotation,
} from './rotation.ts';
import { readinessOf } from './rotation-readiness.ts';
import { updateRecord } from './self-signed.ts';

/** What a proxy must have before the next step is safe. */
export interface Readiness {
  /** The trust bundle that it must have acknowledged (`TrustBundle.version`). */
  readonly bundleVersion: string;
  /** In `sign-new`: the signer whose certificate it must hold (`Signer.id`). */
  readonly signerId?: string;
}

/** The connected proxies that are not ready, by name; empty when all are. */
export type FindLaggards = (readiness: Readiness) => readonly string[] | Promise<readonly string[]>;

export interface RotationStatus extends Rotation {
  readonly bundleVersion: string;
  readonly signerId: string;
  /** Our own proxies that keep the rotation from its next step; empty in `steady`. */
  readonly laggards: readonly string[];
  /** What other replicas keep it from that, in words. */
  readonly waiting: readonly string[];
}

/** What one replica finds out about its own proxies. */
export interface OwnReadiness {
  /** The step has lasted its minimum time here, and nobody lags. */
  readonly ready: boolean;
  readonly laggards: readonly string[];
}

/** What all replicas said. */
export interface Agreement {
  /** Whether the next step may be taken by us, asked again just before the write: an agreement is soon out of date. */
  readonly mayStep: () => boolean;
  /** Which other replicas keep the rotation from its next step, and why. */
  readonly waiting: readonly string[];
}

/** How replicas agree. */
export interface ReplicaAgreement {
  /** Tells the others where this replica is and what `judge` finds. Rejects where they cannot be told. */
  agree(place: Place, judge: () => Promise<OwnReadiness>): Promise<Agreement>;
}

/** The agreement of a process that is the only one. */
export const alone: ReplicaAgreement = {
  agree: async (_place, judge) => {
    const { ready } = await judge();
    return { mayStep: () => ready, waiting: [] };
  },
};

export interface RotationDriverOptions {
  /**
   * How long each step lasts at least, in milliseconds since this process took it up: long enough for what is not
   * connected by xDS (ConfigMaps), and, after a restart, for proxies to come back.
   */
  readonly minimumStep: number;
  /** Only differences of it count. */
  readonly monotonic: () => number;
  readonly replicas: ReplicaAgreement;
}

/** What the CLI and the server do with a rotation. Steps are single writes: a process killed in between loses none. */
export interface RotationDriver {
  /** Where the rotation is and who lags. */
  status(): Promise<RotationStatus>;
  /** Takes the next step if all are ready; tells which step is in force afterwards. Rejects where replicas cannot be told. */
  tick(): Promise<RotationStep | Refusal>;
}

/** In the authority's directory: what `status` last said, for the command line. It holds no secret. */
export const rotationStatusFile = 'rotation-status.json';

/** The server's part: looks who is ready, and steps. Call `tick` regularly and after each acknowledgement. */
export function rotationDriver(
  authority: Authority,
  store: CaStore,
  findLaggards: FindLaggards,
  options: RotationDriverOptions,
  env: CertsEnvironment,
): RotationDriver {
  let arrived: { readonly place: Place; readonly at: number } | undefined;
  let waiting: readonly string[] = [];
  const placeNow = (): Place => {
    const { rotation, bundle, signer } = authority.state;
    return { step: rotation.step, since: rotation.since, bundleVersion: bundle.version, signerId: signer.id };
  };
  const laggardsAt = async (place: Place): Promise<readonly string[]> =>
    place.step === 'steady' ? [] : findLaggards(readinessOf(place));
  return {
    status: async () => {
      const place = placeNow();
      return { ...place, held: authority.state.rotation.held, laggards: await laggardsAt(place), waiting };
    },
    tick: async () => {
      await authority.refresh();
      const place = placeNow();
      if (arrived === undefined || !isSamePlace(arrived.place, place)) arrived = { place, at: options.monotonic() };
      const isDue = place.step !== 'steady' && options.monotonic() - arrived.at >= options.minimumStep;
      const agreement = await options.replicas.agree(place, async () => {
        const laggards = await laggardsAt(place);
        return { laggards, ready: isDue && laggards.length === 0 };
      });
      waiting = agreement.waiting;
      if (authority.state.rotation.held || !agreement.mayStep()) {
        return place.step;
      }
      const changed = await updateRecord(store, (record) => {
        const stored = rotationOf(record);
        // Someone else stepped, held or cancelled since the proxies were asked.
        const isSame = !isRefused(stored) && stored.step === place.step && stored.since === place.since && !stored.held;
        return isSame && agreement.mayStep() ? advanceRotation(record, stored, env.now()) : record;
      });
      await authority.refresh();
      return isRefused(changed) ? changed : authority.state.rotation.step;
    },
  };
}

/** A driver at work. */
export interface Rotating extends Disposable {
  /** Resolves once two looks in a row have succeeded: other replicas know of this one, and it has looked since. */
  readonly joined: Promise<void>;
}

/** Milliseconds until a first look that failed is tried again. */
const joinAgainAfter = 1_000;

/** Ticks every `interval(step)` milliseconds until disposed; `tell` gets each state and each failure. */
export function keepRotating(
  driver: RotationDriver,
  interval: (step: RotationStep) => number,
  tell: (outcome: RotationStatus | Refusal) => void,
): Rotating {
  let ended = false;
  let timer: NodeJS.Timeout | undefined;
  let inARow = 0;
  let hasJoined = false;
  const joined = Promise.withResolvers<void>();
  const turn = async (): Promise<void> => {
    const step = await driver
      .tick()
      .catch((error: unknown) => refused(`the rotation cannot be looked at: ${messageOf(error)}`));
    const outcome = isRefused(step) ? step : await driver.status().catch(() => refused('the proxies cannot be asked'));
    inARow = isRefused(outcome) ? 0 : inARow + 1;
    hasJoined ||= inARow >= 2;
    if (hasJoined) joined.resolve();
    if (!ended) {
      tell(outcome);
      const soon = isRefused(outcome) ? joinAgainAfter : 0;
      timer = setTimeout(() => void turn(), hasJoined ? interval(isRefused(outcome) ? 'steady' : outcome.step) : soon);
      timer.unref();
    }
  };
  void turn();
  return {
    joined: joined.promise,
    [Symbol.dispose]: () => {
      ended = true;
      clearTimeout(timer);
    },
  };
}

/** The operator's part: begins a rotation. The server that watches the store does the rest. */
export async function beginRotation(
  store: CaStore,
  options: RootOptions,
  env: CertsEnvironment,
): Promise<Rotation | Refusal> {
  const next = await createRoot(options, env);
  return isRefused(next) ? next : change(store, (record) => startRotation(record, next, env.now()));
}

/** The operator's part: holds, resumes or cancels a rotation. */
export function steerRotation(store: CaStore, order: 'hold' | 'resume' | 'cancel'): Promise<Rotation | Refusal> {
  return change(store, (record) => {
    const rotation = rotationOf(record);
    if (isRefused(rotation)) {
      return rotation;
    }
    return order === 'cancel' ? cancelRotation(record, rotation) : holdRotation(record, rotation, order === 'hold');
  });
}

/** Where the stored record is in a rotation. */
export async function storedRotation(store: CaStore): Promise<Rotation | Refusal> {
  const stored = await store.read();
  if (stored === undefined) {
    return refused('there is no CA record');
  }
  return isRefused(stored) ? stored : rotationOf(stored.record);
}

async function change(store: CaStore, by: Parameters<typeof updateRecord>[1]): Promise<Rotation | Refusal> {
  const changed = await updateRecord(store, by);
  return isRefused(changed) ? changed : rotationOf(changed);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
