// The debug pages of a control plane: those of discovery, and those about configuration, over HTTP and xDS.
import { isRefused } from '../certs/refusal.ts';
import { kindNames } from '../config/kinds/kinds.ts';
import type { Store } from '../config/store.ts';
import type { DebugCaller } from '../discovery/debug/access.ts';
import { createDebug, type Debug, type DebugPage, type DebugQuery } from '../discovery/debug/pages.ts';
import { statusOf } from '../discovery/debug/sync-status.ts';
import type { Graph } from '../discovery/graph/graph.ts';
import { mesh } from '../discovery/model/objects.ts';
import { serviceKeys, services } from '../discovery/model/services.ts';
import type { Publisher } from '../discovery/xds/publisher.ts';
import type { WorkloadIdentity } from './identity.ts';
import type { Settings } from './settings.ts';

/** What the pages show. */
export interface DebugParts {
  readonly settings: Settings;
  readonly version: string;
  readonly store: Store;
  readonly graph: Graph;
  readonly identity: WorkloadIdentity;
  readonly publisher: () => Publisher;
}

/** Builds the pages. Callers from this machine see everything, as istioctl's port-forward expects (contract 2.1). */
export function debugOf(parts: DebugParts): Debug {
  const { settings, store, graph } = parts;
  const more: ReadonlyMap<string, (query: DebugQuery) => unknown> = new Map<string, (query: DebugQuery) => unknown>([
    ['configz', () => configOf(store)],
    ['registryz', () => graph.read(serviceKeys, 'all').map((key) => graph.read(services, key))],
    ['mesh', () => graph.read(mesh, 'mesh')],
    ['clusterz', () => [{ id: settings.clusterId, secretName: '', syncStatus: store.synced ? 'synced' : 'syncing' }]],
    ['status', () => statusPage(parts)],
  ]);
  return createDebug({
    publisher: parts.publisher,
    systemNamespaces: [settings.systemNamespace, ...settings.debugNamespaces],
    requireIdentity: settings.debugAuth,
    hasPages: settings.debugEndpoints,
    controlPlane: () =>
      JSON.stringify({
        Component: 'istiod',
        ID: settings.podName,
        Info: { version: parts.version, revision: 'unknown', golang_version: '', status: 'Clean', tag: parts.version },
      }),
    more,
  });
}

/** Answers an HTTP request for a page: local callers see all, others by their token. */
export async function debugPage(
  debug: Debug,
  identity: WorkloadIdentity,
  request: {
    readonly path: string;
    readonly query: DebugQuery;
    readonly peer: string;
    readonly authorization: string | undefined;
  },
): Promise<DebugPage | undefined> {
  return debug.page(request.path, request.query, await callerOf(identity, request.peer, request.authorization));
}

/** Whether a caller's address (without IPv4 as IPv6) is this machine's. */
export function isLocal(peer: string): boolean {
  return peer === '127.0.0.1' || peer === '::1';
}

async function callerOf(
  identity: WorkloadIdentity,
  peer: string,
  authorization: string | undefined,
): Promise<DebugCaller> {
  if (isLocal(peer)) return { kind: 'local' };
  if (authorization === undefined) return { kind: 'unknown' };
  const result = await identity.authenticate({ secure: true, authorization: [authorization] });
  const first = isRefused(result) ? undefined : result.identities[0];
  return first === undefined ? { kind: 'unknown' } : { kind: 'identified', identity: first };
}

/** Everything `meltemi status` prints: proxies, sources, findings and issued certificates. Secrets are in none of them. */
function statusPage({ store, publisher, identity, version }: DebugParts): unknown {
  return {
    version,
    sources: Object.fromEntries(store.sources()),
    proxies: statusOf(publisher().streams),
    findings: store.findings(),
    certificates: identity.ledger.list(),
  };
}

/** All objects but Secrets and ConfigMaps, whose contents are nobody's business. */
function configOf(store: Store): readonly unknown[] {
  return kindNames
    .filter((kind) => kind !== 'Secret' && kind !== 'ConfigMap')
    .flatMap((kind): readonly unknown[] => store.list(kind));
}
