// The self-signed authority: made on first start, renewed with the same key, rotated in steps, shared through its store.
import type { AuthoritySource, AuthorityState } from './authority.ts';
import { type CaRecord, type CaStore, readRecord, type StoredRecord } from './ca-record.ts';
import { formatCertificate, parseCertificates } from './certificate.ts';
import type { CertsEnvironment } from './environment.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';
import { createRoot, isRenewalDue, type RootOptions, renewRoot } from './root.ts';
import { rotationOf } from './rotation.ts';
import { readSigningKey } from './signer.ts';

export interface SelfSignedOptions extends RootOptions {
  /** The root is renewed when less than this percentage of its life is left. */
  readonly renewalPercent?: number;
  /** False leaves the root to end. */
  readonly isRenewed?: boolean;
}

/** How often a write that met another writer is tried again. */
const attempts = 5;

/** An authority whose key is in `store`; makes the root where there is none. */
export function selfSignedSource(store: CaStore, options: SelfSignedOptions, env: CertsEnvironment): AuthoritySource {
  return {
    kind: 'self-signed',
    load: async () => {
      const stored = await readOrCreate(store, options, env);
      if (isRefused(stored)) {
        return stored;
      }
      const current = await renewIfDue(store, stored, options, env);
      return isRefused(current) ? current : stateOf(current.record, env.now());
    },
  };
}

/** Reads the record, or makes one with a new root; of several processes that do so at once, one wins and all agree. */
export async function readOrCreate(
  store: CaStore,
  options: RootOptions,
  env: CertsEnvironment,
): Promise<StoredRecord | Refusal> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const stored = await store.read();
    if (stored !== undefined) {
      return stored;
    }
    const root = await createRoot(options, env);
    if (isRefused(root)) {
      return root;
    }
    await store.create({
      'ca-cert.pem': root.certificatePem,
      'ca-key.pem': root.keyPem,
      'root-cert.pem': root.certificatePem,
    });
  }
  return refused('the CA record vanishes each time that it is created');
}

/** Changes the record by a pure function, again and again while other writers come between. */
export async function updateRecord(
  store: CaStore,
  change: (record: CaRecord) => CaRecord | Refusal,
): Promise<CaRecord | Refusal> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const stored = await store.read();
    if (stored === undefined) {
      return refused('there is no CA record');
    }
    if (isRefused(stored)) {
      return stored;
    }
    const changed = change(stored.record);
    if (isRefused(changed) || changed === stored.record) {
      return changed;
    }
    if ((await store.replace(changed, stored.version)) === 'replaced') {
      return changed;
    }
  }
  return refused('other writers kept changing the CA record');
}

function stateOf(record: CaRecord, now: number): AuthorityState | Refusal {
  const content = readRecord(record, now);
  const rotation = rotationOf(record);
  if (isRefused(content) || isRefused(rotation)) {
    return isRefused(content) ? content : (rotation as Refusal);
  }
  return { ...content, rotation };
}

async function renewIfDue(
  store: CaStore,
  stored: StoredRecord,
  options: SelfSignedOptions,
  env: CertsEnvironment,
): Promise<StoredRecord | Refusal> {
  const { record, version } = stored;
  const [root] = parseCertificates(record['ca-cert.pem'] ?? '').certificates;
  const key = readSigningKey(record['ca-key.pem'] ?? '');
  const isKept = root?.selfSigned === true && options.isRenewed !== false;
  const isDue = isKept && isRenewalDue(root, env.now(), options.renewalPercent);
  if (!isDue || root === undefined || isRefused(key) || record['rotation.json'] !== undefined) {
    return stored;
  }
  if (!root.x509.checkPrivateKey(key)) {
    return stored;
  }
  const renewed = await renewRoot(root, key, options.lifetime, env);
  if (isRefused(renewed)) {
    return renewed;
  }
  const certificatePem = formatCertificate(renewed);
  await store.replace(
    { ...record, 'ca-cert.pem': certificatePem, 'root-cert.pem': otherRoots(record, root.subject) + certificatePem },
    version,
  );
  // Whoever wrote, what is stored now counts.
  return (await store.read()) ?? refused('the CA record vanished');
}

/** The record's further roots, without those of the renewed root's name. */
function otherRoots(record: CaRecord, subject: Buffer): string {
  return parseCertificates(record['root-cert.pem'] ?? '')
    .certificates.filter((each) => !each.subject.equals(subject))
    .map((each) => formatCertificate(each))
    .join('');
}
