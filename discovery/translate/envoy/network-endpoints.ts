// Endpoints as a client's network reaches them: its own directly, those of others through their gateways.
import { compareText } from '../../../config/object.ts';
import type { Read } from '../../graph/graph.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import { gatewaysOfNetwork, type NetworkGateway, networkGateways } from '../../model/network-gateways.ts';
import { type EncodedEndpoint, encode } from './encoded-endpoint.ts';
import type { EndpointView } from './endpoint-view.ts';
import type { Member } from './locality-groups.ts';

/**
 * Replaces what is in other networks by those networks' gateways, with the weights of what is behind them. Only
 * endpoints with mTLS can be reached so: gateways route by the server name of the handshake. `mtlsOnly` demands it of
 * all, as clusters do that are themselves routed by server name.
 */
export function acrossNetworks(
  read: Read,
  endpoints: readonly EncodedEndpoint[],
  view: EndpointView,
  mtlsOnly: boolean,
): readonly Member[] {
  const seen = view.networkView;
  const visible = endpoints.filter(
    (e) => (seen === undefined || seen.includes(e.endpoint.network)) && (e.mtls || !mtlsOnly),
  );
  const scale = view.network === undefined ? 1 : weightScale(read(networkGateways, 'all'));
  const members: Member[] = [];
  const remote = new Map<string, { readonly gateway: NetworkGateway; weight: number; like: EncodedEndpoint }>();
  for (const encoded of visible) {
    const { network, address } = encoded.endpoint;
    const gateways = view.network === undefined ? [] : read(gatewaysOfNetwork, network);
    const weight = encoded.weight * scale;
    if (network === '' || network === view.network || gateways.length === 0) {
      if (address !== '') members.push({ encoded, weight });
    } else if (encoded.mtls) {
      for (const gateway of gateways) {
        const key = `${gateway.network}|${gateway.address}|${gateway.port}|${localityText(encoded)}`;
        const share = Math.floor(weight / gateways.length);
        const known = remote.get(key);
        if (known === undefined) remote.set(key, { gateway, weight: share, like: encoded });
        else known.weight += share;
      }
    }
  }
  const through = [...remote].sort(([a], [b]) => compareText(a, b)).map(([, entry]) => gatewayMember(entry));
  return [...members, ...through];
}

function localityText({ endpoint: { locality } }: EncodedEndpoint): string {
  return `${locality.region}/${locality.zone}/${locality.subzone}`;
}

function gatewayMember(entry: { readonly gateway: NetworkGateway; weight: number; like: EncodedEndpoint }): Member {
  const { gateway, weight, like } = entry;
  const endpoint: Endpoint = {
    address: gateway.address,
    port: gateway.port,
    portName: like.endpoint.portName,
    labels: {},
    identity: '',
    locality: like.endpoint.locality,
    network: gateway.network,
    cluster: like.endpoint.cluster,
    weight,
    health: 'unknown',
    tlsMode: 'istio',
    nodeName: '',
    namespace: '',
    workloadName: '',
  };
  const frames = encode(endpoint, true, weight);
  return { encoded: { endpoint, mtls: true, weight, frames, from: 0, to: frames.length }, weight };
}

/** The least common multiple of how many gateways networks have, so that a weight can be split among them evenly. */
function weightScale(gateways: readonly NetworkGateway[]): number {
  const counts = new Map<string, number>();
  for (const { network } of gateways) counts.set(network, (counts.get(network) ?? 0) + 1);
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  return [...counts.values()].reduce((multiple, count) => (multiple * count) / divisor(multiple, count), 1);
}
