// The authority's record as Kubernetes Secret istio-ca-secret, safe when several replicas create or change it at once.
import type { CaRecord, CaStore, StoredRecord } from './ca-record.ts';
import { type Refusal, refused } from './refusal.ts';

/** A Secret as the API server knows it (core/v1). */
export interface SecretObject {
  readonly apiVersion: 'v1';
  readonly kind: 'Secret';
  readonly type: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  /** Base64 by key. */
  readonly data?: Readonly<Record<string, string>>;
}

/** The three calls needed of the API server. Rejects on anything but the outcomes named. */
export interface SecretClient {
  get(namespace: string, name: string): Promise<SecretObject | 'not-found'>;
  create(secret: SecretObject): Promise<'created' | 'already-exists'>;
  /** `metadata.resourceVersion` is set; the server refuses the write when it is no longer current. */
  update(secret: SecretObject): Promise<'updated' | 'conflict'>;
}

export const caSecretName = 'istio-ca-secret';
const caSecretType = 'istio.io/ca-root';

/** Keeps the record in that namespace's `istio-ca-secret`, in the layout that Istio reads and writes. */
export function caSecret(client: SecretClient, namespace: string, name: string = caSecretName): CaStore {
  const secretOf = (record: CaRecord, resourceVersion?: string): SecretObject => ({
    apiVersion: 'v1',
    kind: 'Secret',
    type: caSecretType,
    metadata: { name, namespace, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    data: Object.fromEntries(Object.entries(record).map(([key, text]) => [key, Buffer.from(text).toString('base64')])),
  });
  return {
    read: async (): Promise<StoredRecord | Refusal | undefined> => {
      const secret = await client.get(namespace, name);
      if (secret === 'not-found') {
        return undefined;
      }
      const entries = Object.entries(secret.data ?? {});
      const record = Object.fromEntries(
        entries.map(([key, text]) => [key, Buffer.from(text, 'base64').toString('utf8')]),
      );
      const version = secret.metadata.resourceVersion;
      return version === undefined
        ? refused(`Secret ${namespace}/${name} has no resourceVersion`)
        : { record, version };
    },
    create: async (record) => ((await client.create(secretOf(record))) === 'created' ? 'created' : 'exists'),
    replace: async (record, version) =>
      (await client.update(secretOf(record, version))) === 'updated' ? 'replaced' : 'conflict',
  };
}
