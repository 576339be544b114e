// Finds a proxy's class: a query, so that a label or Sidecar that appears moves the proxy at once.
import { input } from '../graph/graph.ts';
import type { Proxy } from './proxy.ts';

/** Connected proxies, written by the xDS server, by node id. */
export const proxies = input<Proxy>('proxy');
