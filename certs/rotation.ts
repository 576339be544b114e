// Staged change of the root: trust both, sign by the new, drop the old. Each step is one write of the authority's record.
import type { CaRecord } from './ca-record.ts';
import { formatCertificate, parseCertificates } from './certificate.ts';
import { type Refusal, refused } from './refusal.ts';
import type { RootPems } from './root.ts';

/**
 * - `steady`: one root signs and is trusted.
 * - `trust-both`: the old root signs; both are trusted.
 * - `sign-new`: the new root signs; both are trusted, because certificates of the old one are still in use.
 */
export type RotationStep = 'steady' | 'trust-both' | 'sign-new';

export interface Rotation {
  readonly step: RotationStep;
  /** When this step began, in milliseconds since 1970; 0 in `steady`. */
  readonly since: number;
  /** An operator stopped the rotation here. */
  readonly held: boolean;
}

/** Where a record is in a rotation. */
export function rotationOf(record: CaRecord): Rotation | Refusal {
  const text = record['rotation.json'];
  if (text === undefined) {
    return { step: 'steady', since: 0, held: false };
  }
  try {
    const { step, since, held } = JSON.parse(text) as Partial<Rotation>;
    const isKnown = (step === 'trust-both' || step === 'sign-new') && typeof since === 'number';
    return isKnown ? { step, since, held: held === true } : refused('rotation.json names no known step');
  } catch {
    return refused('rotation.json is not JSON');
  }
}

/** Begins a rotation to `next`: from now on both roots are trusted. */
export function startRotation(record: CaRecord, next: RootPems, now: number): CaRecord | Refusal {
  if (record['rotation.json'] !== undefined) {
    return refused('a rotation is already under way');
  }
  return {
    ...record,
    'next-cert.pem': next.certificatePem,
    'next-key.pem': next.keyPem,
    'rotation.json': formatRotation({ step: 'trust-both', since: now, held: false }),
  };
}

/** The record one step on. The caller has made sure that every proxy is ready for it. */
export function advanceRotation(record: CaRecord, rotation: Rotation, now: number): CaRecord | Refusal {
  const { 'next-cert.pem': nextCert, 'next-key.pem': nextKey, ...rest } = record;
  if (rotation.step === 'trust-both') {
    const old = record['ca-cert.pem'];
    if (nextCert === undefined || nextKey === undefined || old === undefined) {
      return refused('the record lacks the next root');
    }
    return {
      ...rest,
      'ca-cert.pem': nextCert,
      'ca-key.pem': nextKey,
      // Only the old root's certificate stays: its key has nothing left to sign.
      'previous-cert.pem': old,
      'rotation.json': formatRotation({ step: 'sign-new', since: now, held: rotation.held }),
    };
  }
  if (rotation.step === 'sign-new') {
    const { 'rotation.json': _done, 'previous-cert.pem': previous = '', ...kept } = rest;
    const others = withoutRoot(record['root-cert.pem'] ?? '', previous);
    return {
      ...kept,
      'root-cert.pem': `${withoutRoot(others, record['ca-cert.pem'] ?? '')}${record['ca-cert.pem'] ?? ''}`,
    };
  }
  return refused('no rotation is under way');
}

/** Gives up a rotation before the new root has signed anything. */
export function cancelRotation(record: CaRecord, rotation: Rotation): CaRecord | Refusal {
  if (rotation.step !== 'trust-both') {
    return refused('only a rotation in step trust-both can be cancelled');
  }
  const { 'next-cert.pem': _cert, 'next-key.pem': _key, 'rotation.json': _rotation, ...kept } = record;
  return kept;
}

/** Stops a rotation where it is, or lets it go on. */
export function holdRotation(record: CaRecord, rotation: Rotation, held: boolean): CaRecord | Refusal {
  return rotation.step === 'steady'
    ? refused('no rotation is under way')
    : { ...record, 'rotation.json': formatRotation({ ...rotation, held }) };
}

/** Keeps roots that an operator added; takes out those of the given one's name. */
function withoutRoot(roots: string, root: string): string {
  const [gone] = parseCertificates(root).certificates;
  return parseCertificates(roots)
    .certificates.filter((each) => gone === undefined || !each.subject.equals(gone.subject))
    .map((each) => formatCertificate(each))
    .join('');
}

function formatRotation(rotation: Rotation): string {
  return JSON.stringify(rotation);
}
