// The authority's record as a Kubernetes Secret, safe when several replicas create or change it at once.
import type { CaRecord, CaStore, StoredRecord } from './ca-record.ts';
import { generatedMark } from './plugged.ts';
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

/** Which Secret holds the record. */
export interface CaSecretName {
  readonly name: string;
  /** A key without which the Secret is somebody else's, not to be used or changed. */
  readonly mark?: string;
}

export const caSecretName: CaSecretName = { name: 'istio-ca-secret' };
/** The Secret that operators plug their own CA in by; the mark says that it is ours (USE_CACERTS_FOR_SELF_SIGNED_CA). */
export const cacertsName: CaSecretName = { name: 'cacerts', mark: generatedMark };
const caSecretType = 'istio.io/ca-root';

/** Keeps the record in that namespace's Secret, in the layout that Istio reads and writes. */
export function caSecret(client: SecretClient, namespace: string, { name, mark } = caSecretName): CaStore {
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
      if (mark !== undefined && !(mark in record)) {
        return refused(`Secret ${namespace}/${name} has no key ${mark}: it is a CA of somebody else`);
      }
      const version = secret.metadata.resourceVersion;
      return version === undefined
        ? refused(`Secret ${namespace}/${name} has no resourceVersion`)
        : { record, version };
    },
    create: async (record) => {
      const marked = mark === undefined ? record : { ...record, [mark]: '' };
      return (await client.create(secretOf(marked))) === 'created' ? 'created' : 'exists';
    },
    replace: async (record, version) =>
      (await client.update(secretOf(record, version))) === 'updated' ? 'replaced' : 'conflict',
  };
}
