// A cluster prepared for the control plane: definitions, namespace, a kubeconfig with exactly its least rights, and replicas that use it.
import { dirname, join } from 'node:path';
import { crdManifest, rbacManifest } from '../../cmd/manifest.ts';
import { type DiscoveryOptions, startDiscovery, type TestDiscovery } from './discovery.ts';
import { type TestApiServer, tokenIssuer } from './kube-apiserver.ts';
import type { KubeClient, KubeObject } from './kube-client.ts';
import { waitFor } from './wait.ts';

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

/** Starts a control plane that its replicas know by that name, and waits until it is ready. */
export function replica(kubeconfig: string, name: string, options: DiscoveryOptions = {}): Promise<TestDiscovery> {
  return startDiscovery({ ...options, kubeconfig, environment: { ...options.environment, POD_NAME: name } });
}

/** A Lease by which replicas agree. */
export function leaseNamed(name: string): KubeObject {
  return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace: systemNamespace } };
}

/** Name of the replica that holds a Lease; undefined where none does. Throws while there is no such Lease. */
export async function holderOf(client: KubeClient, lease: string): Promise<string | undefined> {
  const { holderIdentity } = (await client.get(leaseNamed(lease)))['spec'] as { readonly holderIdentity?: string };
  return holderIdentity;
}

/** The roots, PEM. The control plane puts them into every namespace; a new one has them shortly after. */
export function rootCertificate(client: KubeClient, namespace: string): Promise<string> {
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'istio-ca-root-cert', namespace } };
  return waitFor(`istio-ca-root-cert in ${namespace}`, async () => {
    const { data } = (await client.get(object)) as { readonly data?: { readonly 'root-cert.pem'?: string } };
    return data?.['root-cert.pem'];
  });
}

/** Makes a pod of service account `web` in `default`, which is there, and gives a token that is bound to it. */
export async function podToken(client: KubeClient, name: string): Promise<string> {
  const pod = await client.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { serviceAccountName: 'web', nodeName: 'node', containers: [{ name: 'app', image: 'x' }] },
  });
  const bound = { name, uid: String(pod.metadata['uid']) };
  return client.createToken({ namespace: 'default', serviceAccount: 'web', pod: bound });
}
