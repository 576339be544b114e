// Drives a rotation of the root on a running server, asking who is connected, and tells `meltemi root` how it stands.
import { join } from 'node:path';
import type { Authority } from '../certs/authority.ts';
import { writePublicFile } from '../certs/ca-directory.ts';
import type { CaStore } from '../certs/ca-record.ts';
import type { CertsEnvironment } from '../certs/environment.ts';
import type { Identity } from '../certs/identity.ts';
import type { Ledger } from '../certs/ledger.ts';
import { isRefused } from '../certs/refusal.ts';
import { type FindLaggards, keepRotating, rotationDriver, rotationStatusFile } from '../certs/rotation-driver.ts';
import { laggingAgents } from '../certs/rotation-readiness.ts';
import type { WorkloadSecrets } from '../certs/workload-secret.ts';

/** What is asked of a connected stream. */
export interface RotatingStream {
  readonly peer: string;
  readonly identity: Identity | undefined;
  readonly proxy: { readonly nodeId: string; readonly capabilities: { readonly agentSds: boolean } } | undefined;
}

export interface RotationParts {
  readonly authority: Authority;
  readonly store: CaStore;
  readonly secrets: WorkloadSecrets;
  readonly ledger: Ledger;
  readonly streams: () => Iterable<RotatingStream>;
  /** Where `meltemi root` looks; absent in a cluster. */
  readonly caDir?: string;
  /** Milliseconds between two looks, and the least that a step lasts. */
  readonly interval: number;
  readonly minimumStep: number;
  readonly isLeader: () => boolean;
  readonly log: (level: 'info' | 'warn', message: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly env: CertsEnvironment;
}

/** Begins to look for a rotation and to drive it. A plugged-in CA is its operator's to rotate. */
export function driveRotation(parts: RotationParts): Disposable {
  const { authority, store, env, minimumStep, isLeader } = parts;
  if (authority.kind === 'plugged') {
    return { [Symbol.dispose]: () => undefined };
  }
  const findLaggards: FindLaggards = (readiness) => {
    const agents = laggingAgents(agentsOf(parts.streams()), parts.ledger, readiness);
    return [...new Set([...parts.secrets.laggards(readiness), ...agents])].sort();
  };
  const driver = rotationDriver(authority, store, findLaggards, { minimumStep, isLeader }, env);
  let told = '';
  return keepRotating(driver, parts.interval, (outcome) => {
    if (isRefused(outcome)) {
      parts.log('warn', 'root rotation', { reason: outcome.reason });
      return;
    }
    const { step, held, laggards } = outcome;
    const news = `${step} ${held} ${laggards.length}`;
    if (news !== told && (told !== '' || step !== 'steady')) {
      parts.log('info', 'root rotation', { step, held, waitingFor: laggards.length, first: laggards.slice(0, 5) });
    }
    told = news;
    if (parts.caDir !== undefined) {
      writePublicFile(join(parts.caDir, rotationStatusFile), `${JSON.stringify(outcome)}\n`).catch((error: unknown) =>
        parts.log('warn', 'the state of the root rotation cannot be written', { error: String(error) }),
      );
    }
  });
}

function* agentsOf(streams: Iterable<RotatingStream>) {
  for (const { peer, identity, proxy } of streams) {
    if (identity !== undefined && proxy?.capabilities.agentSds === true) {
      yield { name: proxy.nodeId, identity, peer };
    }
  }
}
