// What an outbound cluster's bytes depend on: the outcome of every choice that a client's place makes.
import { keyText } from '../../graph/key-text.ts';
import type { TlsFiles } from '../../proxy/proxy.ts';
import type { ProxyClass } from '../../proxy/proxy-class.ts';
import type { EndpointView } from './endpoint-view.ts';
import { viewId } from './endpoint-view.ts';

/** What of a proxy a cluster depends on, whatever its service. */
export interface ClusterProfile {
  readonly sidecar: boolean;
  readonly istioFilters: boolean;
  readonly agentSds: boolean;
  readonly ipFamily: ProxyClass['ipFamily'];
  /** Certificates that are mounted as files and stand for the workload's own. */
  readonly files?: TlsFiles;
}

/** An outbound cluster. */
export interface ClusterKey extends ClusterParts {
  /** Text of the parts, made once: a key is looked up for every client that has the cluster. */
  readonly id: string;
}

/** The parts of a key. */
export interface ClusterParts {
  /** Key of the service. */
  readonly service: string;
  readonly port: number;
  readonly subset: string;
  /** DestinationRules that apply, as `appliedRule` gives them. */
  readonly rule: string;
  /** Routed by server name at a gateway: TLS passes through it untouched. */
  readonly sniRouted: boolean;
  readonly profile: ClusterProfile;
  /** Only for clusters that carry their endpoints themselves. */
  readonly view?: EndpointView;
}

/** Text of a profile. */
export function profileId(profile: ClusterProfile): string {
  const { sidecar, istioFilters, agentSds, ipFamily, files } = profile;
  const paths = files === undefined ? '' : `${files.certChain},${files.key},${files.rootCert}`;
  return `${sidecar ? 's' : 'g'}${istioFilters ? 'i' : ''}${agentSds ? 'a' : ''}${ipFamily}${paths}`;
}

/** The key with these parts. */
export function clusterKey(parts: ClusterParts): ClusterKey {
  const { service, port, subset, rule, sniRouted, profile, view } = parts;
  const place = view === undefined ? '' : viewId(view);
  const id = `${service}|${port}|${subset}|${rule}|${sniRouted ? 'sni' : ''}|${profileId(profile)}|${place}`;
  return { id: keyText(id), service, port, subset, rule, sniRouted, profile, ...(view === undefined ? {} : { view }) };
}

/** The profile of a class. */
export function profileOf(
  client: Pick<ProxyClass, 'flavour' | 'capabilities' | 'ipFamily' | 'settings'>,
): ClusterProfile {
  const files = client.settings.tlsClient;
  return {
    sidecar: client.flavour === 'sidecar',
    istioFilters: client.capabilities.istioFilters,
    agentSds: client.capabilities.agentSds,
    ipFamily: client.ipFamily,
    ...(files === undefined ? {} : { files }),
  };
}
