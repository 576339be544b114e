// Flavour by resource type: who translates what. Complete by type.

import { gatewayClusters, sidecarClusters } from './envoy/cluster.ts';
import { credentialSecrets } from './envoy/credential-secret.ts';
import { envoyEndpoints } from './envoy/endpoint.ts';
import { gatewayListeners } from './envoy/gateway/gateway-listeners.ts';
import { gatewayRoutes } from './envoy/gateway/gateway-routes.ts';
import { sidecarListeners } from './envoy/sidecar-listeners.ts';
import { sidecarRoutes } from './envoy/sidecar-routes.ts';
import { grpcClusters, grpcEndpoints } from './grpc/grpc-clusters.ts';
import { grpcListeners } from './grpc/grpc-listeners.ts';
import { grpcRoutes } from './grpc/grpc-routes.ts';
import type { FlavourTable, TranslatorTable } from './translator.ts';

const nothing: FlavourTable = {
  cluster: 'not served',
  endpoint: 'not served',
  listener: 'not served',
  route: 'not served',
  secret: 'not served',
  nameTable: 'not served',
};

/** All translators. */
export const translators: TranslatorTable = {
  sidecar: {
    ...nothing,
    cluster: sidecarClusters,
    endpoint: envoyEndpoints,
    listener: sidecarListeners,
    route: sidecarRoutes,
    secret: credentialSecrets,
  },
  gateway: {
    ...nothing,
    cluster: gatewayClusters,
    endpoint: envoyEndpoints,
    listener: gatewayListeners,
    route: gatewayRoutes,
    secret: credentialSecrets,
  },
  grpc: { ...nothing, cluster: grpcClusters, endpoint: grpcEndpoints, listener: grpcListeners, route: grpcRoutes },
};
