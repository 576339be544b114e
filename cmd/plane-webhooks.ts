// The webhooks of a whole control plane: from its store, with its certificate.
import { mesh } from '../discovery/model/objects.ts';
import type { ControlPlane } from './compose.ts';
import type { Logger } from './log.ts';
import { type Webhooks, webhooksOf } from './webhooks.ts';

/** Makes them. They answer once the store holds everything, and listen once they are opened. */
export function planeWebhooks(plane: ControlPlane, log: Logger): Webhooks {
  const { settings, store, identity, metrics } = plane;
  return webhooksOf({
    store,
    settings,
    ...(identity.tls === undefined ? {} : { tls: identity.tls }),
    registry: metrics.registry,
    log,
    mesh: () => plane.graph.read(mesh, 'mesh'),
  });
}
