// What the HTTP ports show of a control plane.
import type { ControlPlane } from './compose.ts';
import { debugPage } from './debug.ts';
import type { HttpPages } from './http.ts';
import { version } from './version.ts';

/** The pages of a running control plane. */
export function pagesOf(plane: ControlPlane): HttpPages {
  return {
    ready: plane.readiness,
    version: `${version()}-unknown-Clean`,
    metrics: async () => ({ text: await plane.metrics.registry.metrics(), type: plane.metrics.registry.contentType }),
    debug: async (path, query, peer, authorization) =>
      plane.settings.debugEndpoints
        ? debugPage(plane.debug, plane.identity, { path, query, peer, authorization })
        : undefined,
  };
}
