// Where `meltemi root` finds the authority: a folder's record, or the Secret of a cluster; and what servers say of a rotation.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { caDirectory } from '../certs/ca-directory.ts';
import type { CaStore } from '../certs/ca-record.ts';
import { caSecret, caSecretName } from '../certs/ca-secret.ts';
import { parseReport } from '../certs/replica-report.ts';
import type { Rotation } from '../certs/rotation.ts';
import { type RotationStatus, rotationStatusFile } from '../certs/rotation-driver.ts';
import { defaultCaDirectory } from './ca-options.ts';
import { type ClusterChoice, openCluster } from './cluster.ts';
import { replicasLease } from './kube/names.ts';
import { replicaBoard } from './kube/replica-board.ts';
import { secretClient } from './kubernetes-identity.ts';

/** What the options of the command name. */
export interface RootChoice extends ClusterChoice {
  readonly caDir?: string;
  readonly namespace?: string;
}

/** How far a server is with the rotation's step. */
export interface ServerProgress {
  /** The replica; empty for the one server of a folder. */
  readonly replica: string;
  /** When it last said so, by its own clock; absent for a folder. */
  readonly at?: string;
  /** Whether it speaks of the step that is stored. */
  readonly isAtStep: boolean;
  /** How many of its proxies it waits for, and the first few of them. */
  readonly lagging: number;
  readonly first: readonly string[];
}

/** An authority to show and to steer. */
export interface RootPlace extends Disposable {
  /** For messages. */
  readonly name: string;
  readonly store: CaStore;
  /** What each server said last, sorted; empty where none has said anything. */
  readonly progress: (rotation: Rotation) => Promise<readonly ServerProgress[]>;
}

/** The cluster's authority where an option names a cluster, or in a pod; else the folder's. */
export async function openRootPlace(choice: RootChoice, env: NodeJS.ProcessEnv): Promise<RootPlace> {
  const { caDir, kubeconfig, context, namespace } = choice;
  const namesCluster = kubeconfig !== undefined || context !== undefined || namespace !== undefined;
  const isInPod = (env['KUBERNETES_SERVICE_HOST'] ?? '') !== '';
  return namesCluster || (caDir === undefined && isInPod)
    ? clusterPlace(choice, namespace ?? env['POD_NAMESPACE'] ?? 'istio-system')
    : folderPlace(caDir ?? defaultCaDirectory);
}

function folderPlace(caDir: string): RootPlace {
  return {
    name: caDir,
    store: caDirectory(caDir),
    progress: async (rotation) => {
      const text = await readFile(join(caDir, rotationStatusFile), 'utf8').catch(() => '');
      if (text === '') return [];
      const { step, since, laggards = [] } = JSON.parse(text) as Partial<RotationStatus>;
      const isAtStep = step === rotation.step && since === rotation.since;
      return [{ replica: '', isAtStep, lagging: laggards.length, first: laggards }];
    },
    [Symbol.dispose]: () => undefined,
  };
}

async function clusterPlace(choice: ClusterChoice, namespace: string): Promise<RootPlace> {
  const api = await openCluster(choice);
  return {
    name: `Secret ${namespace}/${caSecretName}`,
    store: caSecret(secretClient(api), namespace),
    progress: async (rotation) =>
      [...(await replicaBoard(api, namespace, replicasLease).read())].sort(byName).map(([replica, text]) => {
        const report = parseReport(text);
        const isAtStep = report?.step === rotation.step && report.since === rotation.since;
        const { at = 'unknown', lagging = 0, first = [] } = report ?? {};
        return { replica, at, isAtStep, lagging, first };
      }),
    [Symbol.dispose]: () => api[Symbol.dispose](),
  };
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}
