// Gateways between networks: where traffic to workloads of another network goes.
import { compareText } from '../../config/object.ts';
import { query, type Read } from '../graph/graph.ts';
import { isAddress } from './address.ts';
import { networkLabel, settingsOf } from './network.ts';
import { services, servicesByHost, servicesWithNetwork } from './services.ts';

/** One address by which a network is entered. */
export interface NetworkGateway {
  readonly network: string;
  readonly address: string;
  readonly port: number;
}

/** Port of gateways that route mTLS by server name. */
const autoPassthroughPort = 15443;

/** Gateways of all networks, sorted: of the settings, and services with a network's label and an outside address. */
export const networkGateways = query('network-gateways', (read, _key: 'all'): readonly NetworkGateway[] => {
  const found = read(servicesWithNetwork, 'all').flatMap((key) => {
    const service = read(services, key);
    const network = service?.labels[networkLabel];
    if (service === undefined || network === undefined) return [];
    const asked = Number(service.labels['networking.istio.io/gatewayPort'] ?? autoPassthroughPort);
    const port = Number.isInteger(asked) && asked > 0 ? asked : autoPassthroughPort;
    return service.externalAddresses.filter(isAddress).map((address) => ({ network, address, port }));
  });
  return [...found, ...configured(read)].sort(
    (a, b) => compareText(a.network, b.network) || compareText(a.address, b.address) || a.port - b.port,
  );
});

/** Gateways of one network. */
export const gatewaysOfNetwork = query('gateways-of-network', (read, network: string): readonly NetworkGateway[] =>
  read(networkGateways, 'all').filter((gateway) => gateway.network === network),
);

/** Gateways of key `meshNetworks`: by address, or by the name of a service with addresses outside. */
function configured(read: Read): readonly NetworkGateway[] {
  return settingsOf(read).flatMap(([network, { gateways = [] }]) =>
    gateways.flatMap(({ address, registryServiceName, port = autoPassthroughPort }) => {
      const named = read(servicesByHost, (registryServiceName ?? '').toLowerCase());
      const outside = named.flatMap((key) => read(services, key)?.externalAddresses ?? []);
      return (address ? [address] : outside).filter(isAddress).map((one) => ({ network, address: one, port }));
    }),
  );
}
