// Who opened a stream: the facts a connection gives, and what an authenticator passed in makes of them.
import type { Proxy } from '../proxy/proxy.ts';

/** What is known of a caller before its first message. Header values are secret: never log them. */
export interface CallerFacts {
  /** `ip:port` of the peer as the socket has it. */
  readonly peer: string;
  readonly tls: boolean;
  /** DER of the client's leaf certificate, where TLS verified it against our roots. */
  readonly clientCertificate?: Uint8Array;
  /** Values of a header by lower-case name. */
  readonly header: (name: string) => readonly string[];
}

/** A workload's identity, `spiffe://<trustDomain>/ns/<namespace>/sa/<serviceAccount>`. */
export interface Identity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** What authentication found. `anonymous`: nobody, and that is allowed here (plaintext port). */
export type Caller =
  | { readonly kind: 'identified'; readonly identities: readonly Identity[] }
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'refused'; readonly reason: string };

/** Passed in by whoever composes the server; discovery knows no certificates and no tokens. */
export type Authenticate = (facts: CallerFacts) => Promise<Caller>;

/**
 * The identity that may speak for a proxy: its namespace must be the proxy's, and its service account too where the
 * proxy names one (contract 1.3). Undefined: the caller may not be this proxy.
 */
export function identityFor(
  proxy: Pick<Proxy, 'namespace' | 'serviceAccount'>,
  identities: readonly Identity[],
): Identity | undefined {
  return identities.find(
    ({ namespace, serviceAccount }) =>
      namespace === proxy.namespace && (proxy.serviceAccount === '' || serviceAccount === proxy.serviceAccount),
  );
}
