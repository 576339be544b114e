// Which cluster a command speaks to: --kubeconfig, KUBECONFIG, ~/.kube/config, or the pod it runs in.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type KubeApi, openKubeApi } from '../config/sources/kube-api.ts';
import { inClusterAccess, type KubeAccess, kubeconfigAccess } from '../config/sources/kube-config.ts';

/** A cluster as the options of a command name it. */
export interface ClusterChoice {
  readonly kubeconfig?: string;
  readonly context?: string;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Opens it; nothing is sent yet. Throws where no configuration is found. */
export async function openCluster(choice: ClusterChoice): Promise<KubeApi> {
  return openKubeApi(await clusterAccess(choice, process.env, homedir()));
}

/** How the choice is reached, in the order of kubectl. Throws where no configuration is found, or a bad one. */
export async function clusterAccess(choice: ClusterChoice, env: Env, home: string): Promise<KubeAccess> {
  const { kubeconfig, context } = choice;
  const options = { env, ...(context === undefined ? {} : { context }) };
  if (kubeconfig !== undefined) return kubeconfigAccess(kubeconfig, options);
  const list = (env['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '');
  if (list.length > 0) return kubeconfigAccess(list, { ...options, named: 'KUBECONFIG' });
  const file = join(home, '.kube', 'config');
  if (existsSync(file)) return kubeconfigAccess(file, { ...options, named: 'kubeconfig' });
  return inClusterAccess(env).catch((error: Error) => {
    throw new Error(
      `no cluster is named: there is no --kubeconfig, no KUBECONFIG and no ${file}, and ${error.message}`,
    );
  });
}
