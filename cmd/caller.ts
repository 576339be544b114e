// Joins the xDS server's question (who opened this stream?) and identity's answer.
import type { Authenticate as AuthenticateCaller } from '../certs/caller.ts';
import { isRefused } from '../certs/refusal.ts';
import type { Authenticate } from '../discovery/xds/caller.ts';
import type { Settings } from './settings.ts';

/** How streams are authenticated: nobody on the plaintext port, everybody on the secured one unless XDS_AUTH is off. */
export function authenticateStreams(
  settings: Pick<Settings, 'xdsAuth'>,
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
    if (!isRefused(result)) return { kind: 'identified', identities: result.identities };
    return settings.xdsAuth ? { kind: 'refused', reason: result.reason } : { kind: 'anonymous' };
  };
}
