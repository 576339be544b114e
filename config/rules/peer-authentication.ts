// Rules of PeerAuthentication.
import type { PeerAuthentication } from '../kinds/peer-authentication.ts';
import { conflict, type Findings, fine, invalid } from './finding.ts';
import { checkSelector } from './selectors.ts';

/** What Istio's webhook refuses or warns about in a PeerAuthentication. */
export function checkPeerAuthentication(policy: PeerAuthentication): Findings {
  const spec = policy.spec ?? {};
  const ports = Object.keys(spec.portLevelMtls ?? {});
  const selects = Object.keys(spec.selector?.matchLabels ?? {}).length > 0;
  return [
    ...(ports.length > 0 && !selects
      ? conflict('spec.portLevelMtls', 'mesh/namespace peer authentication cannot have port level mTLS')
      : fine),
    ...ports.flatMap((port) =>
      Number(port) >= 1 && Number(port) <= 65535
        ? fine
        : invalid(`spec.portLevelMtls.${port}`, 'port must be in range 1..65535'),
    ),
    ...checkSelector(spec.selector, 'spec.selector'),
  ];
}
