// What a real API server with our CustomResourceDefinitions says of objects: schema, CEL and unknown fields.
import { customResourceDefinitions } from '../../config/crd.ts';
import { startApiServer } from '../support/kube-apiserver.ts';
import type { KubeClient, KubeObject } from '../support/kube-client.ts';
import { waitFor } from '../support/wait.ts';

/** Whether the API server takes an object, and what it says if not. */
export interface CrdVerdict {
  readonly valid: boolean;
  readonly message: string;
}

/** Asks about each object, in order; the server is started for this and ended. */
export async function crdVerdictsOf(objects: readonly unknown[]): Promise<readonly CrdVerdict[]> {
  await using server = await startApiServer();
  await installCrds(server.client);
  const verdicts: CrdVerdict[] = [];
  const callers = 8;
  let next = 0;
  const call = async () => {
    for (let index = next++; index < objects.length; index = next++) {
      verdicts[index] = await verdictOf(server.client, objects[index]);
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  return verdicts;
}

/** Applies our definitions and waits until each is established. */
export async function installCrds(client: KubeClient): Promise<void> {
  for (const definition of customResourceDefinitions()) {
    const object = definition as unknown as KubeObject;
    await client.create(object);
    await waitFor(`${definition.metadata.name} to be established`, async () => {
      const status = (await client.get(object))['status'] as { conditions?: { type: string; status: string }[] };
      const conditions = status?.conditions ?? [];
      const violation = conditions.find(({ type }) => type === 'NonStructuralSchema');
      if (violation !== undefined) throw new Error(JSON.stringify(violation));
      return conditions.some(({ type, status: state }) => type === 'Established' && state === 'True');
    });
  }
}

// As `kubectl --validate=strict --dry-run=server`. Names are not what is judged, so all objects get the same good one.
async function verdictOf(client: KubeClient, resource: unknown): Promise<CrdVerdict> {
  const raw = resource as Record<string, unknown>;
  const object = { ...raw, metadata: { name: 'case', namespace: 'default' } } as unknown as KubeObject;
  const path = (await client.pathOf(object)).replace(/\/[^/]*$/, '');
  const answer = await client.request('POST', `${path}?dryRun=All&fieldValidation=Strict`, object);
  const valid = answer.status >= 200 && answer.status < 300;
  return { valid, message: valid ? '' : String(answer.body?.message ?? answer.status) };
}
