// Gateways between networks: where traffic to workloads of another network goes.
import { compareText } from '../../config/object.ts';
import { query, type Read } from '../graph/graph.ts';
import { isAddress } from './address.ts';
import { networkLabel, settingsOf } from './network.ts';
import { facts } from './objects.ts';
import type { Service } from './service.ts';
import { services, servicesByHost, servicesWithNetwork } from './services.ts';

/** One address by which a network is entered. */
export interface NetworkGateway {
  readonly network: string;
  readonly address: string;
  readonly port: number;
}

/** Port of gateways that route mTLS by server name. */
const autoPassthroughPort = 15443;

/**
 * Gateways of all networks, sorted, each once: of the settings, and services with a network's label and an outside
 * address.
 */
export const networkGateways = query('network-gateways', (read, _key: 'all'): readonly NetworkGateway[] => {
  const found = [...labelled(read), ...configured(read)];
  const unique = new Map(found.map((gateway) => [`${gateway.network}|${gateway.address}|${gateway.port}`, gateway]));
  return [...unique.values()].sort(
    (a, b) => compareText(a.network, b.network) || compareText(a.address, b.address) || a.port - b.port,
  );
});

/** Gateways of one network. */
export const gatewaysOfNetwork = query('gateways-of-network', (read, network: string): readonly NetworkGateway[] =>
  read(networkGateways, 'all').filter((gateway) => gateway.network === network),
);

/** Services whose label says to which network they lead. */
function labelled(read: Read): readonly NetworkGateway[] {
  return read(servicesWithNetwork, 'all').flatMap((key) => {
    const service = read(services, key);
    const network = service?.labels[networkLabel];
    if (service === undefined || !network) return [];
    const asked = Number(service.labels['networking.istio.io/gatewayPort'] ?? autoPassthroughPort);
    const port = Number.isInteger(asked) && asked > 0 ? asked : autoPassthroughPort;
    return gatewaysAt(service, network, port);
  });
}

/**
 * Gateways of key `meshNetworks`: by address, or by the name of a service with addresses outside. Such a name is one of
 * the cluster whose endpoints the network takes (fromRegistry), and counts only in that cluster; a label goes first.
 */
function configured(read: Read): readonly NetworkGateway[] {
  const { cluster } = read(facts, 'facts');
  return settingsOf(read).flatMap(([network, { gateways = [], endpoints = [] }]) => {
    const isOwn = endpoints.some(({ fromRegistry }) => fromRegistry === cluster);
    return gateways.flatMap(({ address, registryServiceName, port = autoPassthroughPort }) => {
      if (address) return isAddress(address) ? [{ network, address, port }] : [];
      const named = isOwn ? read(servicesByHost, (registryServiceName ?? '').toLowerCase()) : [];
      return named.flatMap((key) => {
        const service = read(services, key);
        return service === undefined || service.labels[networkLabel] ? [] : gatewaysAt(service, network, port);
      });
    });
  });
}

/** A service's outside addresses as gateways; nodes listen on a port of their own. */
function gatewaysAt(service: Service, network: string, port: number): readonly NetworkGateway[] {
  const outside = service.externalPorts[port] ?? port;
  return service.externalAddresses.filter(isAddress).map((address) => ({ network, address, port: outside }));
}
