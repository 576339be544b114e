// What the certificate service counts, by Istio's names; the metric objects themselves are made in cmd/.
import type { AuthorityState } from './authority.ts';

/** Without the prefix `citadel_server_`. */
export type CitadelCounter =
  | 'csr_count'
  | 'success_cert_issuance_count'
  | 'csr_parsing_err_count'
  | 'csr_sign_err_count'
  | 'id_extraction_err_count'
  | 'authentication_failure_count';

/** Tells of a gRPC call that begins (`path` is `/package.Service/Method`), then of what comes of it; ends once. */
export type CallBegan = (path: string) => {
  readonly received: () => void;
  readonly sent: () => void;
  /** By the name of its gRPC status. */
  readonly ended: (status: string) => void;
};

/** Adds one to a counter. */
export type Count = (counter: CitadelCounter) => void;

export const citadelCounters: Readonly<Record<CitadelCounter, string>> = {
  csr_count: 'Certificate signing requests received.',
  success_cert_issuance_count: 'Certificates issued.',
  csr_parsing_err_count: 'Requests refused because of the CSR or the lifetime asked for.',
  csr_sign_err_count: 'Requests that failed while signing.',
  id_extraction_err_count: 'Requests whose caller has no usable identity.',
  authentication_failure_count: 'Requests whose caller is not authenticated.',
};

/** The gauges `citadel_server_<name>`: ends as Unix time in seconds, and seconds left (negative: expired). */
export function expiryGauges(state: AuthorityState, now: number): Readonly<Record<string, number>> {
  const rootEnd = Math.min(...state.bundle.roots.map((root) => root.notAfter));
  const chainEnd = state.signer.notAfter;
  return {
    root_cert_expiry_timestamp: Math.floor(rootEnd / 1000),
    root_cert_expiry_seconds: Math.floor((rootEnd - now) / 1000),
    cert_chain_expiry_timestamp: Math.floor(chainEnd / 1000),
    cert_chain_expiry_seconds: Math.floor((chainEnd - now) / 1000),
  };
}
