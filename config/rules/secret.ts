// Rules of Secret: those of type kubernetes.io/tls hold a certificate and key that an Envoy would take.
import { caOf, keyPairOf } from '../credential.ts';
import type { Diagnostic } from '../diagnostic.ts';
import type { Secret } from '../kinds/secret.ts';
import type { Findings } from './finding.ts';

/** Warns only: the Secret may be meant for somebody else. Whether it has expired shows when it is used. */
export function checkSecret(secret: Secret): Findings {
  if (secret.type !== 'kubernetes.io/tls') return [];
  const hasCa = secret.data?.['ca.crt'] !== undefined || secret.stringData?.['ca.crt'] !== undefined;
  const results = [keyPairOf(secret, 0), ...(hasCa ? [caOf(secret, 0)] : [])];
  return results.flatMap((result) => ('credential' in result ? result.warnings : [result])).map(asWarning);
}

function asWarning({ object: _object, ...finding }: Diagnostic): Diagnostic {
  return { ...finding, severity: 'warning' };
}
