// Drives a rotation of the root on a running server, asking who is connected, and tells `meltemi root` how it stands.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Authority } from '../certs/authority.ts';
import { writePublicFile } from '../certs/ca-directory.ts';
import type { CaStore } from '../certs/ca-record.ts';
import type { CertsEnvironment } from '../certs/environment.ts';
import type { Identity } from '../certs/identity.ts';
import type { Ledger } from '../certs/ledger.ts';
import { isRefused } from '../certs/refusal.ts';
import { Replicas, type ReplicasOptions, reportInterval } from '../certs/replicas.ts';
import type { RotationStep } from '../certs/rotation.ts';
import {
  alone,
  type FindLaggards,
  keepRotating,
  type Rotating,
  rotationDriver,
  rotationStatusFile,
} from '../certs/rotation-driver.ts';
import { laggingAgents } from '../certs/rotation-readiness.ts';
import type { WorkloadSecrets } from '../certs/workload-secret.ts';

/** What is asked of a connected stream. */
export interface RotatingStream {
  readonly peer: string;
  readonly identity: Identity | undefined;
  readonly proxy: { readonly nodeId: string; readonly capabilities: { readonly agentSds: boolean } } | undefined;
}

/** The group that this process is one of: in a cluster, all that share a CA. */
export type ReplicaGroup = Pick<ReplicasOptions, 'board' | 'name' | 'leads' | 'hasPod' | 'leaseMs'>;

export interface RotationParts {
  readonly authority: Authority;
  readonly store: CaStore;
  readonly secrets: WorkloadSecrets;
  readonly ledger: Ledger;
  readonly streams: () => Iterable<RotatingStream>;
  /** Where `meltemi root` looks; absent in a cluster. */
  readonly caDir?: string;
  /** Milliseconds between two looks where there is no group, whose pace is its lease's. */
  readonly interval: number;
  /** Milliseconds that a step lasts at least. */
  readonly minimumStep: number;
  /** Absent where this process is the only one. */
  readonly group?: ReplicaGroup;
  readonly log: (level: 'info' | 'warn', message: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly env: CertsEnvironment;
}

/** A rotation that is looked after, until disposed. */
export interface DrivenRotation extends AsyncDisposable {
  readonly joined: Rotating['joined'];
  /** How many of our proxies keep it from its next step, as seen last. */
  readonly laggards: () => number;
}

/** Begins to look for a rotation and to drive it. A plugged-in CA is its operator's to rotate. */
export function driveRotation(parts: RotationParts): DrivenRotation {
  const { authority, store, env, minimumStep, group, ledger } = parts;
  if (authority.kind === 'plugged') {
    return { joined: Promise.resolve(), laggards: () => 0, [Symbol.asyncDispose]: async () => undefined };
  }
  const monotonic = (): number => performance.now();
  const replicas =
    group === undefined ? undefined : new Replicas({ ...group, ledger, monotonic, now: env.now, unique: randomUUID });
  const findLaggards: FindLaggards = (readiness) => {
    const latest = (identity: string, holder?: string) => (replicas ?? ledger).latest(identity, holder);
    const agents = laggingAgents(agentsOf(parts.streams()), latest, readiness);
    const names = (replicas?.seek(agents) ?? agents).map(({ name }) => name);
    return [...new Set([...parts.secrets.laggards(readiness), ...names])].sort();
  };
  const options = { minimumStep, monotonic, replicas: replicas ?? alone };
  const driver = rotationDriver(authority, store, findLaggards, options, env);
  const interval = (step: RotationStep): number =>
    group === undefined ? parts.interval : reportInterval(group.leaseMs, step !== 'steady');
  let told = '';
  let lagging = 0;
  let written = Promise.resolve();
  const rotating = keepRotating(driver, interval, (outcome) => {
    if (isRefused(outcome)) {
      if (told !== outcome.reason) parts.log('warn', 'root rotation', { reason: outcome.reason });
      told = outcome.reason;
      return;
    }
    const { step, held, laggards, waiting } = outcome;
    lagging = laggards.length;
    const news = `${step} ${held} ${lagging} ${waiting.join()}`;
    if (news !== told && (told !== '' || step !== 'steady')) {
      parts.log('info', 'root rotation', { step, held, waitingFor: lagging, first: laggards.slice(0, 5), waiting });
    }
    told = news;
    if (parts.caDir !== undefined) {
      const file = join(parts.caDir, rotationStatusFile);
      const write = written.then(() => writePublicFile(file, `${JSON.stringify(outcome)}\n`));
      written = write.catch((error: unknown) =>
        parts.log('warn', 'the state of the root rotation cannot be written', { error: String(error) }),
      );
    }
  });
  return {
    joined: rotating.joined,
    laggards: () => lagging,
    [Symbol.asyncDispose]: () => {
      rotating[Symbol.dispose]();
      return written;
    },
  };
}

function* agentsOf(streams: Iterable<RotatingStream>) {
  for (const { peer, identity, proxy } of streams) {
    if (identity !== undefined && proxy?.capabilities.agentSds === true) {
      yield { name: proxy.nodeId, identity, peer };
    }
  }
}
