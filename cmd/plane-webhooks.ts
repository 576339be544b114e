// The webhooks of a whole control plane: from its store, with its certificate.
import { mesh } from '../discovery/model/objects.ts';
import type { ControlPlane } from './compose.ts';
import type { Logger } from './log.ts';
import { openWebhooks, type Webhooks } from './webhooks.ts';

/**
 * Opens them at `settings.httpsAddr`; undefined where that is empty. Call it once the store holds everything, so that no
 * pod is answered by defaults.
 */
export async function openPlaneWebhooks(
  plane: ControlPlane,
  log: Logger,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Webhooks | undefined> {
  const { settings, store, identity, metrics } = plane;
  if (settings.httpsAddr === '') return undefined;
  return openWebhooks({
    address: settings.httpsAddr,
    store,
    tls: identity.tls,
    registry: metrics.registry,
    log,
    systemNamespace: settings.systemNamespace,
    clusterId: settings.clusterId,
    clusterDomain: settings.domain,
    mesh: () => plane.graph.read(mesh, 'mesh'),
    revision: settings.revision,
    env,
  });
}
