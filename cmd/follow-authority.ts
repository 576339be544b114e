// What is told of the certificate authority: when it ends, as metrics, and what is the matter with it, as findings.
import { type Authority, revocationsOf } from '../certs/authority.ts';
import { expiryGauges } from '../certs/metrics.ts';
import type { Store } from '../config/store.ts';
import type { Metrics } from './metrics.ts';

/** Tells it as long as the authority is there. */
export function followAuthority(
  authority: Authority,
  metrics: Pick<Metrics, 'gauge'>,
  store: Pick<Store, 'sinkOf'>,
): void {
  const { report } = store.sinkOf('certificate authority');
  const tell = (): void => report(authority.kind, authority.diagnostics());
  authority.onLook(tell);
  tell();
  for (const name of Object.keys(expiryGauges(authority.state, Date.now()))) {
    metrics.gauge(
      `citadel_server_${name}`,
      'When the signer or the roots end.',
      () => expiryGauges(authority.state, Date.now())[name] ?? 0,
    );
  }
  metrics.gauge(
    'meltemi_revocation_lists_expiry_timestamp',
    'When the first of the revocation lists in force ends, as Unix time in seconds; absent without lists that end.',
    () => {
      const { first } = revocationsOf(authority.state) ?? {};
      return first === undefined ? undefined : Math.floor(first.notAfter / 1000);
    },
  );
}
