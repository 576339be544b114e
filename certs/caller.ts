// Who is calling: authenticators tried in order, the first success counts, and a failure of all names every reason.
import { parseCertificate } from './certificate.ts';
import { type Identity, parseIdentity } from './identity.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';

/** What is known of a call or stream before anybody is believed. */
export interface CallerFacts {
  /** False on the plaintext port, where nobody has an identity. */
  readonly secure: boolean;
  /** DER of the client's leaf certificate, only if TLS verified its chain against our trust bundle. */
  readonly peerCertificate?: Buffer;
  /** Values of the `authorization` metadata. */
  readonly authorization: readonly string[];
  /** The `clusterid` metadata; absent or empty means this cluster. */
  readonly clusterId?: string;
  /** `host:port` of the peer (config/peer-address.ts), for logs and for trusted gateways. */
  readonly remoteAddress?: string;
  /** Values of the `x-forwarded-client-cert` metadata. */
  readonly forwardedClientCert?: readonly string[];
}

/** An authenticated identity. */
export interface CallerIdentity extends Identity {
  /** The pod that the token is bound to. */
  readonly podName?: string;
  readonly podUid?: string;
  /** The cluster whose API server vouches for the token. */
  readonly clusterId?: string;
}

export type AuthenticationMethod = 'certificate' | 'jwt' | 'kubernetes' | 'forwarded-certificate';

export type CallerResult =
  | {
      readonly kind: 'identities';
      readonly method: AuthenticationMethod;
      /** At least one. */
      readonly identities: readonly CallerIdentity[];
      /** When the proof ends, in milliseconds since 1970. */
      readonly validUntil: number;
    }
  | Refusal;

/** Tells who is calling. Never rejects. */
export type Authenticate = (facts: CallerFacts) => Promise<CallerResult>;

/** One way to tell. `undefined`: the facts hold nothing for this way. */
export type Authenticator = (facts: CallerFacts) => Promise<CallerResult | undefined>;

const longestHeader = 20 * 1024;

/**
 * Tries the authenticators in order; the first success wins. The order of Istio is: client certificate, configured
 * JWT issuers, Kubernetes tokens, forwarded certificates.
 */
export function authenticateBy(authenticators: readonly Authenticator[]): Authenticate {
  return async (facts) => {
    if (!facts.secure) {
      return refused('the connection is not secured by TLS');
    }
    const reasons: string[] = [];
    for (const authenticator of authenticators) {
      const result = await authenticator(facts).catch(() => refused('the check failed'));
      if (result !== undefined && !isRefused(result)) {
        return result;
      }
      if (result !== undefined) {
        reasons.push(result.reason);
      }
    }
    return refused(reasons.length === 0 ? 'the caller presents no credential' : reasons.join('; '));
  };
}

/** Accepts certificates of our own trust domains; TLS has verified the chain, dates are checked for each new call. */
export function certificateAuthenticator(trustDomains: () => readonly string[], now: () => number): Authenticator {
  return async ({ peerCertificate }) => {
    if (peerCertificate === undefined) {
      return undefined;
    }
    const certificate = parseCertificate(peerCertificate);
    if (isRefused(certificate)) {
      return certificate;
    }
    const { notBefore, notAfter, uris } = certificate;
    if (now() > notAfter || now() < notBefore) {
      return refused('the client certificate is not valid at this time');
    }
    if (uris.length === 0) {
      return refused('the client certificate has no URI name');
    }
    const identities = uris.map(parseIdentity);
    const known = identities.filter((each) => each !== undefined && trustDomains().includes(each.trustDomain));
    return known.length === uris.length && known.length > 0
      ? { kind: 'identities', method: 'certificate', identities: known as Identity[], validUntil: notAfter }
      : refused('the client certificate names no workload of our trust domain');
  };
}

/** The bearer token of the call; a refusal where there are several or it is malformed. */
export function bearerTokenOf(facts: CallerFacts): string | Refusal | undefined {
  const bearers = facts.authorization.filter((value) => /^bearer /i.test(value));
  const [value] = bearers;
  if (value === undefined) {
    return undefined;
  }
  if (bearers.length > 1 || value.length > longestHeader) {
    return refused('the authorization metadata is ambiguous or too long');
  }
  return value.slice('bearer '.length).trim();
}

/**
 * The identity among several that fits a proxy's claimed namespace and service account (contract of the first xDS
 * request): the namespace must match, and the service account where the proxy names one.
 */
export function matchIdentity(
  identities: readonly CallerIdentity[],
  namespace: string,
  serviceAccount: string | undefined,
): CallerIdentity | undefined {
  return identities.find(
    (identity) =>
      identity.namespace === namespace &&
      (serviceAccount === undefined || serviceAccount === '' || identity.serviceAccount === serviceAccount),
  );
}
