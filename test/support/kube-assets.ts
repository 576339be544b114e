// The real etcd, kube-apiserver and kube-controller-manager that the Kubernetes tests run.
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { buildGo } from './go-build.ts';

export const kubeVersion = '1.36.3';
const programs = ['etcd', 'kube-apiserver', 'kube-controller-manager'] as const;

/**
 * A folder with `etcd`, `kube-apiserver` and `kube-controller-manager`: `$KUBEBUILDER_ASSETS`, the convention of the
 * ecosystem (https://book.kubebuilder.io/reference/envtest), else built from kube/ once. A cold build takes 3 to 5
 * minutes on two cores.
 */
export function ensureKubeAssets(onProgress?: (message: string) => void): Promise<string> {
  const assets = process.env['KUBEBUILDER_ASSETS'];
  if (assets !== undefined && assets !== '') return Promise.resolve(assets);
  const [major, minor] = kubeVersion.split('.');
  const version = 'k8s.io/component-base/version';
  return buildGo({
    name: 'kube',
    source: join(import.meta.dirname, 'kube'),
    ldflags: `-X ${version}.gitVersion=v${kubeVersion} -X ${version}.gitMajor=${major} -X ${version}.gitMinor=${minor}`,
    finish: async (folder) => {
      for (const program of programs) await symlink('kube', join(folder, program));
    },
    ...(onProgress === undefined ? {} : { onProgress }),
  });
}
