// Drives a root rotation: takes the next step when every connected proxy is ready for it, and says who is not.
import type { Authority } from './authority.ts';
import type { CaStore } from './ca-record.ts';
import type { CertsEnvironment } from './environment.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';
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
  /** Who keeps the rotation from its next step; empty in `steady`. */
  readonly laggards: readonly string[];
}

export interface RotationDriverOptions {
  /** How long each step lasts at least, in milliseconds: long enough for what is not connected by xDS (ConfigMaps). */
  readonly minimumStep: number;
  /** Of several replicas only the leader steps. */
  readonly isLeader: () => boolean;
}

/** What the CLI and the server do with a rotation. Steps are single writes: a process killed in between loses none. */
export interface RotationDriver {
  /** Where the rotation is and who lags. */
  status(): Promise<RotationStatus>;
  /** Takes the next step if all are ready; tells which step is in force afterwards. */
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
  const status = async (): Promise<RotationStatus> => {
    const { rotation, bundle, signer } = authority.state;
    const readiness = {
      bundleVersion: bundle.version,
      ...(rotation.step === 'sign-new' ? { signerId: signer.id } : {}),
    };
    const laggards = rotation.step === 'steady' ? [] : await findLaggards(readiness);
    return { ...rotation, bundleVersion: bundle.version, signerId: signer.id, laggards };
  };
  return {
    status,
    tick: async () => {
      await authority.refresh();
      const now = await status();
      const isDue = now.step !== 'steady' && !now.held && env.now() - now.since >= options.minimumStep;
      if (!isDue || now.laggards.length > 0 || !options.isLeader()) {
        return now.step;
      }
      const changed = await updateRecord(store, (record) => {
        const stored = rotationOf(record);
        // Someone else stepped, held or cancelled since the proxies were asked.
        const isSame = !isRefused(stored) && stored.step === now.step && stored.since === now.since && !stored.held;
        return isSame ? advanceRotation(record, stored, env.now()) : record;
      });
      await authority.refresh();
      return isRefused(changed) ? changed : authority.state.rotation.step;
    },
  };
}

/** Ticks every `interval` milliseconds until disposed; `tell` gets each state and each failure. */
export function keepRotating(
  driver: RotationDriver,
  interval: number,
  tell: (outcome: RotationStatus | Refusal) => void,
): Disposable {
  let ended = false;
  let timer: NodeJS.Timeout | undefined;
  const turn = async (): Promise<void> => {
    const step = await driver.tick().catch(() => refused('the rotation cannot be looked at'));
    const outcome = isRefused(step) ? step : await driver.status().catch(() => refused('the proxies cannot be asked'));
    if (!ended) {
      tell(outcome);
      timer = setTimeout(() => void turn(), interval);
      timer.unref();
    }
  };
  void turn();
  return {
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
