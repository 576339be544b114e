// The webhooks of a whole control plane: from its store, with its certificate.
import type { ControlPlane } from './compose.ts';
import type { Readiness } from './http.ts';
import type { Logger } from './log.ts';
import { type Webhooks, webhooksOf } from './webhooks.ts';

/**
 * Makes them. They answer once the store holds everything, and listen once they are opened. What is wrong with the
 * injector's settings is a finding of the store.
 */
export function planeWebhooks(plane: ControlPlane, log: Logger): Webhooks {
  const { settings, store, identity, metrics, surroundings } = plane;
  return webhooksOf({
    store,
    settings,
    ...(identity.tls === undefined ? {} : { tls: identity.tls }),
    findings: store.sinkOf('injector'),
    registry: metrics.registry,
    log,
    surroundings,
  });
}

/**
 * Whether a control plane can do all that it is there for: serve proxies, and inject pods where it has webhooks. `waitsFor`
 * says what else the start is waiting for; empty once everything listens.
 */
export function wholeReadiness(plane: ControlPlane, webhooks: Webhooks, waitsFor: string): Readiness {
  const state = plane.readiness();
  if (!state.ready) return state;
  const injects = webhooks.readiness();
  return injects.ready && waitsFor !== '' ? { ready: false, reason: `waiting for ${waitsFor}` } : injects;
}
