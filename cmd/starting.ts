// The HTTP ports while there is no control plane yet: not ready, why not, and the metrics so far.
import { isLocal } from './debug.ts';
import { type HttpPages, openHttp } from './http.ts';
import type { Metrics } from './metrics.ts';
import type { Settings } from './settings.ts';
import { version } from './version.ts';

/** The start as it goes. */
export interface Start {
  /** What it waits for; changes while it waits. */
  reason: string;
}

/**
 * Runs a start with the ports open: probes and people are told what it waits for. They are closed when it has ended, for
 * the control plane to open them. Rejects where a port is taken, or the start does.
 */
export async function whileStarting<T>(
  { httpAddr, monitoringAddr }: Pick<Settings, 'httpAddr' | 'monitoringAddr'>,
  metrics: Metrics,
  start: (start: Start) => Promise<T>,
): Promise<T> {
  const state: Start = { reason: 'starting' };
  const pages = startingPages(state, metrics, Date.now());
  await using ports = new AsyncDisposableStack();
  if (httpAddr !== '') ports.use(await openHttp('--httpAddr', httpAddr, pages));
  if (monitoringAddr !== '') ports.use(await openHttp('--monitoringAddr', monitoringAddr, pages));
  return await start(state);
}

function startingPages(state: Start, { registry }: Metrics, since: number): HttpPages {
  return {
    ready: () => ({ ready: false, reason: state.reason }),
    version: `${version()}-unknown-Clean`,
    metrics: async () => ({ text: await registry.metrics(), type: registry.contentType }),
    debug: async (path, _query, peer) => {
      // Nobody's identity can be checked yet, so only this machine sees more than that.
      if (path !== 'status' || !isLocal(peer))
        return { text: `not ready: ${state.reason}\n`, type: 'text/plain', status: 503 };
      const source = { synced: false, connected: false, since, message: state.reason };
      const json = { version: version(), sources: { kubernetes: source }, proxies: [], findings: [], certificates: [] };
      return { json };
    },
  };
}
