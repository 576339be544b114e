// What a self-signed authority remembers: one record of PEM texts, kept as one file or one Kubernetes Secret.
import { bundleOf, type TrustBundle } from './bundle.ts';
import { parseCertificates } from './certificate.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';
import { makeSigner, type Signer } from './signer.ts';

/**
 * Text by key. `ca-cert.pem`, `ca-key.pem` (the signer) and `root-cert.pem` (roots to trust besides it) are those of
 * Istio's Secret `istio-ca-secret`; `next-cert.pem`, `next-key.pem`, `previous-cert.pem` and `rotation.json` exist during a rotation;
 * `token-key.pem` signs this installation's own tokens.
 */
export type CaRecord = Readonly<Record<string, string>>;

export interface StoredRecord {
  readonly record: CaRecord;
  /** Changes with every write. */
  readonly version: string;
}

/** Where the record is kept. Every write replaces the whole record at once or not at all. Rejects when unreachable. */
export interface CaStore {
  /** undefined where there is no record yet; a refusal where there is one that cannot be read. */
  read(): Promise<StoredRecord | Refusal | undefined>;
  /** Never overwrites. */
  create(record: CaRecord): Promise<'created' | 'exists'>;
  /** Writes only over that version. */
  replace(record: CaRecord, version: string): Promise<'replaced' | 'conflict'>;
}

/** What a record means at a time; refuses records whose parts do not belong together. */
export function readRecord(
  record: CaRecord,
  now: number,
): { readonly signer: Signer; readonly bundle: TrustBundle } | Refusal {
  const certificatePem = record['ca-cert.pem'];
  const keyPem = record['ca-key.pem'];
  if (certificatePem === undefined || keyPem === undefined) {
    return refused('the CA record has no ca-cert.pem or no ca-key.pem');
  }
  const bundle = recordBundle(record);
  const signer = makeSigner(certificatePem, keyPem, record['cert-chain.pem'] ?? '', bundle, now);
  return isRefused(signer) ? signer : { signer, bundle };
}

/**
 * All roots of a record: the signer's where it is self-signed, those of `root-cert.pem`, and the next or previous one
 * during a rotation; in an order that does not depend on the step.
 */
export function recordBundle(record: CaRecord): TrustBundle {
  const read = (key: string) => parseCertificates(record[key] ?? '').certificates;
  const own = read('ca-cert.pem').filter((each) => each.selfSigned);
  // A renewed root takes the place of the one whose name and key it has.
  const extra = read('root-cert.pem').filter((root) => !own.some((each) => each.subject.equals(root.subject)));
  const roots = [...own, ...extra, ...read('next-cert.pem'), ...read('previous-cert.pem')];
  return bundleOf(roots.sort((a, b) => Buffer.compare(a.der, b.der)));
}

/** The record's keys and values as JSON with sorted keys: equal records give equal text. */
export function formatRecord(record: CaRecord): string {
  const entries = Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${JSON.stringify(Object.fromEntries(entries), undefined, 2)}\n`;
}

/** Reads what `formatRecord` wrote. */
export function parseRecord(text: string): CaRecord | Refusal {
  try {
    const value: unknown = JSON.parse(text);
    const isRecord =
      typeof value === 'object' &&
      value !== null &&
      !Array.isArray(value) &&
      Object.values(value).every((each) => typeof each === 'string');
    return isRecord ? (value as CaRecord) : refused('the CA record is not a JSON object of texts');
  } catch {
    return refused('the CA record is not JSON');
  }
}
