// The webhooks of a whole control plane: from its store, with its certificate.
import type { SourceSink } from '../config/sources/source.ts';
import { mesh } from '../discovery/model/objects.ts';
import type { ControlPlane } from './compose.ts';
import type { Readiness } from './http.ts';
import type { Logger } from './log.ts';
import { openWebhooks, type Webhooks } from './webhooks.ts';

/**
 * Opens them at `settings.httpsAddr`; undefined where that is empty. Call it once the store holds everything, so that no
 * pod is answered by defaults. `findings` is told what is wrong with the injector's settings.
 */
export async function openPlaneWebhooks(
  plane: ControlPlane,
  findings: Pick<SourceSink, 'report'>,
  log: Logger,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Webhooks | undefined> {
  const { settings, store, identity, metrics } = plane;
  if (settings.httpsAddr === '') return undefined;
  return openWebhooks({
    address: settings.httpsAddr,
    store,
    findings,
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

/** Whether a control plane can do all that it is there for: serve proxies, and inject pods where it has webhooks. */
export function wholeReadiness(plane: ControlPlane, webhooks: Webhooks | undefined): Readiness {
  const state = plane.readiness();
  return state.ready && webhooks !== undefined ? webhooks.readiness() : state;
}
