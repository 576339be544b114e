// Joins identity and discovery: `default` and `ROOTCA` for a proxy without an agent, on its own stream and nobody else's.

import { isRefused } from '../certs/refusal.ts';
import type { HeldCertificate } from '../certs/renewing-certificate.ts';
import type { WorkloadSecretLease, WorkloadSecrets } from '../certs/workload-secret.ts';
import type { EncodedResource } from '../discovery/resource.ts';
import { certificateSecret, validationSecret } from '../discovery/translate/envoy/secret.ts';
import type { OpenOwnResources } from '../discovery/xds/own-resources.ts';

const ownNames: ReadonlySet<string> = new Set(['default', 'ROOTCA']);

/** Own resources for identified streams; none for anonymous ones. `onRefusal` hears why an identity gets no secret. */
export function ownSecrets(
  secrets: WorkloadSecrets,
  onRefusal: (proxy: string, reason: string) => void,
): OpenOwnResources {
  return ({ proxy, identity }, changed) => {
    if (identity === undefined) return undefined;
    let opened: WorkloadSecretLease | undefined;
    let isRefusedOnce = false;
    // Taken when first asked for: a proxy with an agent never asks, and no key is to be made for it.
    const leaseOf = (): WorkloadSecretLease | undefined => {
      if (opened !== undefined || isRefusedOnce) return opened;
      const lease = secrets.acquire(identity, proxy.nodeId);
      if (isRefused(lease)) {
        isRefusedOnce = true;
        onRefusal(proxy.nodeId, lease.reason);
        return undefined;
      }
      opened = lease;
      lease.subscribe(() => changed('secret', [...ownNames]));
      // The first certificate is announced like later ones; only its failure is told here.
      if (lease.current() === undefined)
        lease.ready().catch((error: unknown) => onRefusal(proxy.nodeId, String(error)));
      return lease;
    };
    return {
      serves: (type, name) => type === 'secret' && ownNames.has(name),
      get: (_type, name) => {
        const held = leaseOf()?.current();
        return held === undefined ? undefined : encoded(name, held);
      },
      acknowledged: (type, resource) => {
        const held = opened?.current();
        if (type !== 'secret' || held === undefined) return;
        const { name } = resource;
        if ((name === 'default' || name === 'ROOTCA') && encoded(name, held).version === resource.version)
          opened?.acknowledge(name, held);
      },
      close: () => opened?.release(),
    };
  };
}

function encoded(name: string, held: HeldCertificate): EncodedResource {
  return name === 'ROOTCA'
    ? validationSecret(name, {
        roots: held.rootBundle,
        ...(held.revocations.length === 0 ? {} : { revocations: held.revocations.join('') }),
      })
    : certificateSecret(name, { chain: held.certificateChain, key: held.privateKey });
}
