// x-forwarded-client-cert: believed from trusted gateways only, and only the element that the gateway itself wrote.
import { expect, test } from 'vitest';
import { forwardedAuthenticator, trustedGateways } from './forwarded-certificate.ts';
import { isRefused } from './refusal.ts';

const web = 'spiffe://cluster.local/ns/default/sa/web';
const admin = 'spiffe://cluster.local/ns/kube-system/sa/admin';

test.each<readonly [string, string, string, string]>([
  ['one element', '10.1.2.3:5000', `By=spiffe://x;Hash=abc;URI=${web}`, 'web'],
  ['the last of several', '10.1.2.3:5000', `URI=${admin},Hash=abc;URI=${web}`, 'web'],
  ['a quoted divider', '10.1.2.3:5000', `Subject="CN=a,URI=${admin};x";URI=${web}`, 'web'],
  ['an escaped quote', '10.1.2.3:5000', `Subject="CN=\\",URI=${admin}";URI=${web}`, 'web'],
  ['an IPv6 address', '[fd00::7]:5000', `URI=${web}`, 'web'],
  ['another IPv6 address', '[fd01::7]:5000', `URI=${web}`, 'not from a trusted gateway'],
  ['loopback', '[::1]:5000', `URI=${web}`, 'web'],
  ['another address', '192.168.0.1:5000', `URI=${web}`, 'not from a trusted gateway'],
  ['no address', 'unix:/tmp/x', `URI=${web}`, 'not from a trusted gateway'],
  ['another trust domain', '10.1.2.3:5000', 'URI=spiffe://other/ns/a/sa/b', 'no workload'],
  ['no URI', '10.1.2.3:5000', 'Hash=abc', 'no workload'],
  ['one foreign among ours', '10.1.2.3:5000', `URI=${web};URI=https://x`, 'no workload'],
])('%s', async (_, remoteAddress, header, expected) => {
  const gateways = trustedGateways('10.0.0.0/8,fd00::/16');
  if (isRefused(gateways)) {
    throw new Error(gateways.reason);
  }
  const authenticate = forwardedAuthenticator(
    gateways,
    () => ['cluster.local'],
    () => 0,
  );
  const result = await authenticate({ secure: true, authorization: [], remoteAddress, forwardedClientCert: [header] });
  expect(
    result === undefined ? '' : isRefused(result) ? result.reason : result.identities[0]?.serviceAccount,
  ).toContain(expected);
});

test.each(['', '10.0.0.0', '10.0.0.0/33', 'x/8', '10.0.0.0/8,'])('not CIDRs: %s', (text) => {
  expect(isRefused(trustedGateways(text))).toBe(true);
});
