// Joins identity and discovery: `default` and `ROOTCA` for a proxy without an agent, on its own stream and nobody else's.

import { isRefused } from '../certs/refusal.ts';
import type { HeldCertificate } from '../certs/renewing-certificate.ts';
import type { WorkloadSecrets } from '../certs/workload-secret.ts';
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
    const lease = secrets.acquire(identity, proxy.nodeId);
    if (isRefused(lease)) {
      onRefusal(proxy.nodeId, lease.reason);
      return undefined;
    }
    lease.subscribe(() => changed('secret', [...ownNames]));
    if (lease.current() === undefined) {
      lease.ready().then(
        () => changed('secret', [...ownNames]),
        (error: unknown) => onRefusal(proxy.nodeId, String(error)),
      );
    }
    return {
      serves: (type, name) => type === 'secret' && ownNames.has(name),
      get: (_type, name) => {
        const held = lease.current();
        return held === undefined ? undefined : encoded(name, held);
      },
      acknowledged: (type, resource) => {
        const held = lease.current();
        if (type !== 'secret' || held === undefined) return;
        const { name } = resource;
        if ((name === 'default' || name === 'ROOTCA') && encoded(name, held).version === resource.version)
          lease.acknowledge(name, held);
      },
      close: () => lease.release(),
    };
  };
}

function encoded(name: string, held: HeldCertificate): EncodedResource {
  return name === 'ROOTCA'
    ? validationSecret(name, { roots: held.rootBundle })
    : certificateSecret(name, { chain: held.certificateChain, key: held.privateKey });
}
