// A cluster prepared for the control plane: definitions, namespace, and a kubeconfig with exactly its least rights.
import { dirname, join } from 'node:path';
import { crdManifest, rbacManifest } from '../../cmd/manifest.ts';
import { type TestApiServer, tokenIssuer } from './kube-apiserver.ts';

export const systemNamespace = 'istio-system';

/** The user that API requests of the control plane come from. */
export const planeUser = `system:serviceaccount:${systemNamespace}:istiod`;

/** Applies what `meltemi manifest rbac` prints and writes a kubeconfig of that service account; gives its path. */
export async function leastPrivilege(server: TestApiServer, url = server.url, revision = ''): Promise<string> {
  const account = revision === '' ? 'istiod' : `istiod-${revision}`;
  await server.client.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: systemNamespace } });
  await server.client.applyYaml(rbacManifest({ namespace: systemNamespace, revision }));
  const token = await server.client.createToken({
    namespace: systemNamespace,
    serviceAccount: account,
    audiences: [tokenIssuer],
  });
  const file = join(dirname(server.kubeconfig), `kubeconfig-${account}-${new URL(url).port}`);
  await server.writeKubeconfig(file, token, url);
  return file;
}

/** Applies the definitions of all mesh kinds and waits until the API server serves them. */
export async function installDefinitions(server: TestApiServer): Promise<void> {
  await server.client.applyYaml(crdManifest());
  await server.client.pathOf({ apiVersion: 'networking.istio.io/v1', kind: 'Sidecar', metadata: { name: 'x' } });
}

/** Puts the mesh configuration, YAML, into the ConfigMap where the control plane looks for it. */
export async function applyMeshConfig({ client }: TestApiServer, mesh: string): Promise<void> {
  const metadata = { name: 'istio', namespace: systemNamespace };
  await client.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { mesh } });
}
