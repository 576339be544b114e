// The HTTP ports of a control plane, and what they show of it.
import { addWebhooks } from '../webhook/server.ts';
import type { ControlPlane } from './compose.ts';
import { debugPage } from './debug.ts';
import { type HttpPages, openHttp } from './http.ts';
import { version } from './version.ts';
import type { Webhooks } from './webhooks.ts';

/**
 * Opens them. What has no port of its own is served at `--httpAddr` too, in plaintext: gRPC, and the webhooks. Rejects
 * where a port is taken.
 */
export async function openPages(
  plane: ControlPlane,
  webhooks: Webhooks,
  ready: HttpPages['ready'] = plane.readiness,
): Promise<AsyncDisposable> {
  const { settings, xds } = plane;
  const pages = { ...pagesOf(plane), ready };
  await using opened = new AsyncDisposableStack();
  if (settings.httpAddr !== '') {
    const connections = settings.grpcAddr === '' ? xds.adopt() : undefined;
    const port = await openHttp('--httpAddr', settings.httpAddr, pages, {
      ...(settings.httpsAddr === '' ? { routes: (server) => addWebhooks(server, webhooks.handlers) } : {}),
      ...(connections === undefined
        ? {}
        : { http2: { accept: connections.accept, close: () => connections.close(settings.shutdownMs) } }),
    });
    opened.use(port);
  }
  if (settings.monitoringAddr !== '') opened.use(await openHttp('--monitoringAddr', settings.monitoringAddr, pages));
  return opened.move();
}

function pagesOf(plane: ControlPlane): HttpPages {
  return {
    ready: plane.readiness,
    version: `${version()}-unknown-Clean`,
    metrics: async () => ({ text: await plane.metrics.registry.metrics(), type: plane.metrics.registry.contentType }),
    debug: async (path, query, peer, authorization) =>
      debugPage(plane.debug, plane.identity, { path, query, peer, authorization }),
  };
}
