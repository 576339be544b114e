// Joins the xDS server's question (who opened this stream?) and identity's answer.
import type { Authenticate as AuthenticateCaller } from '../certs/caller.ts';
import { isRefused } from '../certs/refusal.ts';
import type { Authenticate } from '../discovery/xds/caller.ts';
import type { Settings } from './settings.ts';

/**
 * How streams are authenticated: nobody on the plaintext port, everybody on the secured one unless XDS_AUTH is off.
 * Without PILOT_ENABLE_XDS_IDENTITY_CHECK a caller may be any proxy, and therefore counts as nobody.
 */
export function authenticateStreams(
  settings: Pick<Settings, 'xdsAuth' | 'xdsIdentityCheck'>,
  authenticate: AuthenticateCaller,
): Authenticate {
  return async (facts) => {
    if (!facts.tls) return { kind: 'anonymous' };
    const [clusterId] = facts.header('clusterid');
    const result = await authenticate({
      secure: true,
      ...(facts.clientCertificate === undefined ? {} : { peerCertificate: Buffer.from(facts.clientCertificate) }),
      authorization: facts.header('authorization'),
      ...(clusterId === undefined ? {} : { clusterId }),
      remoteAddress: facts.peer,
      forwardedClientCert: facts.header('x-forwarded-client-cert'),
    });
    if (!isRefused(result) && settings.xdsIdentityCheck) return { kind: 'identified', identities: result.identities };
    return isRefused(result) && settings.xdsAuth ? { kind: 'refused', reason: result.reason } : { kind: 'anonymous' };
  };
}
