// The listener of a gRPC server that gets its security by xDS: plain text or mTLS, and no routing (gRFC A36).
import { create, toBinary } from '@bufbuild/protobuf';
import { TrafficDirection, type TransportSocket } from '../../../protos/gen/envoy/config/core/v3/base_pb.js';
import { ListenerSchema } from '../../../protos/gen/envoy/config/listener/v3/listener_pb.js';
import { RouterSchema } from '../../../protos/gen/envoy/extensions/filters/http/router/v3/router_pb.js';
import { HttpConnectionManagerSchema } from '../../../protos/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { DownstreamTlsContextSchema } from '../../../protos/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import type { Read } from '../../graph/graph.ts';
import { workloadMtls } from '../../model/mtls.ts';
import type { ServiceTarget } from '../../model/service-target.ts';
import { encodeResource } from '../../resource.ts';
import { typeUrls } from '../../xds-types.ts';
import { httpFilter } from '../envoy/filters/http-filter.ts';
import { networkFilter } from '../envoy/filters/tcp-proxy.ts';
import { listenerAddresses } from '../envoy/listener-parts.ts';
import { workloadCertificate, workloadRoots } from '../envoy/sds.ts';
import { socketOf } from '../envoy/upstream-tls.ts';
import { packed } from '../envoy/wire.ts';
import { resourceQuery } from '../translator.ts';

/** What servers put before `address:port` when they ask for their listener. */
export const serverPrefix = 'xds.istio.io/grpc/lds/inbound/';

/** The server, as far as its listener depends on it. */
export interface GrpcServer {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly targets: readonly ServiceTarget[];
}

/** A server's listener. */
export interface ServerListenerKey {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly mutual: boolean;
}

/** The key of a listener by its name; undefined for other names and for ports of no service. */
export function serverListenerKey(read: Read, server: GrpcServer, name: string): ServerListenerKey | undefined {
  if (!name.startsWith(serverPrefix)) return undefined;
  const parts = /^\[?(?<address>[0-9a-fA-F:.]+)\]?:(?<port>\d{1,5})$/u.exec(name.slice(serverPrefix.length))?.groups;
  const port = Number(parts?.['port']);
  if (parts === undefined || !server.targets.some(({ targetPort }) => targetPort === port)) return undefined;
  const { namespace, labels } = server;
  const mode = read(workloadMtls, { namespace, labels, port });
  // A server cannot take both on one port: permissive means plain text, unless the workload says that it has mTLS.
  const mutual = mode === 'STRICT' || (mode === 'PERMISSIVE' && labels['security.istio.io/tlsMode'] === 'istio');
  return { name, address: parts['address'] ?? '', port, mutual };
}

/** Cells of servers' listeners. gRPC refuses listener filters and original destinations, so there are none. */
export const serverListener = resourceQuery<ServerListenerKey>(
  'grpc-server-listener',
  (key) => JSON.stringify(key),
  (_read, { name, address, port, mutual }) => {
    const manager = create(HttpConnectionManagerSchema, {
      statPrefix: `inbound_${port}`,
      httpFilters: [httpFilter('envoy.filters.http.router', packed(RouterSchema, {}))],
      routeSpecifier: { case: 'routeConfig', value: { name: 'inbound', virtualHosts: [everything] } },
    });
    const filter = networkFilter(
      'envoy.filters.network.http_connection_manager',
      packed(HttpConnectionManagerSchema, manager),
    );
    const listener = create(ListenerSchema, {
      name,
      ...listenerAddresses([address], port),
      trafficDirection: TrafficDirection.INBOUND,
      filterChains: [
        mutual
          ? { name: 'inbound-mtls', filters: [filter], transportSocket: mutualTls() }
          : { name: 'inbound-plaintext', filters: [filter] },
      ],
    });
    return encodeResource(typeUrls.listener, name, toBinary(ListenerSchema, listener));
  },
);

const everything = {
  domains: ['*'],
  routes: [
    {
      match: { pathSpecifier: { case: 'prefix' as const, value: '/' } },
      action: { case: 'nonForwardingAction' as const, value: {} },
    },
  ],
};

/** Certificates come from the provider `default` of gRPC's bootstrap; older clients know only the former fields. */
function mutualTls(): TransportSocket {
  const own = { instanceName: 'default', certificateName: workloadCertificate };
  const roots = { instanceName: 'default', certificateName: workloadRoots };
  const context = create(DownstreamTlsContextSchema, {
    requireClientCertificate: true,
    commonTlsContext: {
      tlsCertificateProviderInstance: own,
      tlsCertificateCertificateProviderInstance: own,
      validationContextType: {
        case: 'combinedValidationContext',
        value: {
          defaultValidationContext: { caCertificateProviderInstance: roots },
          validationContextCertificateProviderInstance: roots,
        },
      },
    },
  });
  return socketOf('envoy.transport_sockets.tls', packed(DownstreamTlsContextSchema, context));
}
