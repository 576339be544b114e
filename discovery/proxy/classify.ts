// Finds a proxy's class: a query, so that a label or Sidecar that appears moves the proxy at once.

import { input, query, type Read } from '../graph/graph.ts';
import { mentionedLabels } from '../model/label-mentions.ts';
import type { Locality } from '../model/locality.ts';
import { nodeNameLabel } from '../model/node-locality.ts';
import { mesh } from '../model/objects.ts';
import type { ServiceTarget } from '../model/service-target.ts';
import { serviceTargetsOf } from '../model/service-targets.ts';
import { hasNodeLocalServices, services } from '../model/services.ts';
import { sidecarFor, sidecarScope } from '../model/sidecar-scope.ts';
import type { Workload } from '../model/workload.ts';
import { workloads, workloadsByAddress } from '../model/workloads.ts';
import type { Proxy } from './proxy.ts';
import { facetsId, type ProxyClass } from './proxy-class.ts';

/** Connected proxies, written by the xDS server, by node id. */
export const proxies = input<Proxy>('proxy');

/**
 * The class of a connected proxy, by node id; undefined once it has gone. What the registry knows of the workload
 * (labels, locality) takes precedence over what the proxy says of itself (contract 1.6).
 */
export const classOf = query<string, ProxyClass | undefined>(
  'proxy-class',
  (read, nodeId) => {
    const proxy = read(proxies, nodeId);
    return proxy === undefined ? undefined : classify(read, proxy);
  },
  { output: true, equals: (a, b) => a === b || (a !== undefined && b !== undefined && facetsId(a) === facetsId(b)) },
);

function classify(read: Read, proxy: Proxy): ProxyClass {
  const workload = workloadOf(read, proxy);
  const allLabels = { ...proxy.labels, ...workload?.labels };
  // A gRPC server cannot take plain text and mTLS on one port, and this label decides which (contract 1.11).
  const own = proxy.flavour === 'grpc' ? ['security.istio.io/tlsMode'] : [];
  const mentioned = read(mentionedLabels, 'all');
  const labels = pickLabels(allLabels, [...own, ...mentioned]);
  const byNode = read(hasNodeLocalServices, 'all') || mentioned.includes(nodeNameLabel);
  // A gateway's own services map its servers' ports to the ports it binds.
  const targets = targetsOf(read, proxy, workload);
  const scope = proxy.flavour === 'gateway' ? '' : read(sidecarFor, { namespace: proxy.namespace, labels });
  return {
    flavour: proxy.flavour,
    capabilities: proxy.capabilities,
    namespace: proxy.namespace,
    dnsDomain: proxy.dnsDomain,
    labels,
    cluster: proxy.cluster,
    network: proxy.network !== '' ? proxy.network : (workload?.network ?? ''),
    locality: localityOf(proxy.locality, workload),
    nodeName: byNode ? proxy.nodeName || (workload?.nodeName ?? '') : '',
    interception: proxy.interception,
    ipFamily: familyOf(proxy.ipAddresses),
    scope,
    targets,
    settings: proxy.settings,
    ...canonicalOf(read, allLabels, proxy.workload.namespace),
    addresses: needsAddresses(read, proxy, targets, scope) ? proxy.ipAddresses : [],
  };
}

function workloadOf(read: Read, proxy: Proxy): Workload | undefined {
  const { name, namespace } = proxy.workload;
  for (const address of proxy.ipAddresses) {
    const found = read(workloadsByAddress, address)
      .map((key) => read(workloads, key))
      .filter((workload) => workload !== undefined);
    const exact =
      found.find((w) => w.name === name && w.namespace === namespace) ?? found.find((w) => w.namespace === namespace);
    if (exact !== undefined) return exact;
  }
  return undefined;
}

function targetsOf(read: Read, proxy: Proxy, workload: Workload | undefined): readonly ServiceTarget[] {
  return read(serviceTargetsOf, {
    namespace: proxy.workload.namespace,
    addresses: proxy.ipAddresses,
    ...(workload === undefined ? { labels: proxy.labels } : { workload: workload.key }),
  });
}

function pickLabels(
  labels: Readonly<Record<string, string>>,
  mentioned: readonly string[],
): Readonly<Record<string, string>> {
  const picked: Record<string, string> = {};
  for (const label of mentioned) {
    const value = Object.hasOwn(labels, label) ? labels[label] : undefined;
    if (value !== undefined) picked[label] = value;
  }
  return picked;
}

function localityOf(own: Locality, workload: Workload | undefined): Locality {
  const known = workload?.locality;
  return known !== undefined && known.region !== '' ? known : own;
}

function familyOf(addresses: readonly string[]): ProxyClass['ipFamily'] {
  const v6 = addresses.some((address) => address.includes(':'));
  const v4 = addresses.some((address) => !address.includes(':'));
  return v4 && v6 ? 'dual' : v6 ? 'v6' : 'v4';
}

/** Spans carry them (service.istio.io/canonical-*), so workloads differ by them as long as there are spans. */
function canonicalOf(
  read: Read,
  labels: Readonly<Record<string, string>>,
  namespace: string,
): Pick<ProxyClass, 'canonical'> | object {
  if (!read(meshTraces, 'mesh')) return {};
  return {
    canonical: {
      service: labels['service.istio.io/canonical-name'] || 'unknown',
      revision: labels['service.istio.io/canonical-revision'] || 'latest',
      namespace: namespace || 'default',
    },
  };
}

const meshTraces = query('mesh-traces', (read, _key: 'mesh') => read(mesh, 'mesh').enableTracing !== false);

/** Only proxies that bind their own address, or are endpoints of headless services, are unlike their siblings. */
function needsAddresses(read: Read, proxy: Proxy, targets: readonly ServiceTarget[], scope: string): boolean {
  if (proxy.flavour === 'grpc' || proxy.interception === 'NONE') return true;
  const { ingress } = read(sidecarScope, { namespace: proxy.namespace, scope });
  // Ingress listeners without a bind are bound to, and named after, the workload's own address.
  const own = /^(0\.0\.0\.0|\[::\]):/;
  if (ingress.some(({ bind, defaultEndpoint }) => (bind ?? '') === '' || own.test(defaultEndpoint ?? ''))) return true;
  return targets.some((target) => read(services, target.service)?.headless ?? false);
}
