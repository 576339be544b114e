// Which cluster a command speaks to: --kubeconfig, KUBECONFIG, ~/.kube/config, or the pod it runs in.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type KubeApi, openKubeApi } from '../config/sources/kube-api.ts';
import { inClusterAccess, kubeconfigAccess } from '../config/sources/kube-config.ts';

/** A cluster as the options of a command name it. */
export interface ClusterChoice {
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** Opens it; nothing is sent yet. Throws where no configuration is found. */
export async function openCluster(choice: ClusterChoice): Promise<KubeApi> {
  const path = choice.kubeconfig ?? process.env['KUBECONFIG'] ?? join(homedir(), '.kube', 'config');
  const isNamed = choice.kubeconfig !== undefined || process.env['KUBECONFIG'] !== undefined;
  const access =
    isNamed || existsSync(path)
      ? await kubeconfigAccess(path, Date.now, choice.context)
      : await inClusterAccess(process.env);
  return openKubeApi(access);
}
