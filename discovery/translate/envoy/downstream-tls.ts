// TLS of connections that come in with the workload's own certificate: Istio mTLS.
import { create } from '@bufbuild/protobuf';
import type { TransportSocket } from '../../../protos/gen/envoy/config/core/v3/base_pb.js';
import {
  type TlsParameters,
  TlsParameters_TlsProtocol,
  TlsParametersSchema,
} from '../../../protos/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import { DownstreamTlsContextSchema } from '../../../protos/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { query } from '../../graph/graph.ts';
import { mesh } from '../../model/objects.ts';
import { agentSecret, workloadCertificate, workloadRoots, workloadSecret } from './sds.ts';
import { socketOf } from './upstream-tls.ts';
import { packed } from './wire.ts';

/** How a server speaks Istio mTLS. */
export interface ServerMtls {
  /** Chains that are known to speak HTTP never exchange metadata over TCP. */
  readonly http: boolean;
  /** Whether istio.metadata_exchange runs; without it nobody may be invited to send its bytes. */
  readonly metadataExchange: boolean;
  /** Whether certificates come from the agent beside the proxy. */
  readonly agentSds: boolean;
}

/** Asks clients for a certificate of the mesh and shows the workload's own: one socket for all listeners. */
export const mutualTls = query<ServerMtls, TransportSocket>(
  'mutual-tls',
  (read, { http, metadataExchange, agentSds }) => {
    const { domains, parameters } = read(serverTls, 'mesh');
    const alpnProtocols = [...(http || !metadataExchange ? [] : ['istio-peer-exchange']), 'h2', 'http/1.1'];
    const context = create(DownstreamTlsContextSchema, {
      requireClientCertificate: true,
      commonTlsContext: {
        tlsParams: parameters,
        alpnProtocols,
        tlsCertificateSdsSecretConfigs: [workloadSecret(workloadCertificate, agentSds)],
        validationContextType: {
          case: 'combinedValidationContext',
          value: {
            // Any workload of the mesh may connect; who may do what, policies say.
            defaultValidationContext: { matchSubjectAltNames: domains.map(ofTrustDomain) },
            validationContextSdsSecretConfig: workloadSecret(workloadRoots, agentSds),
          },
        },
      },
    });
    return socketOf('envoy.transport_sockets.tls', packed(DownstreamTlsContextSchema, context));
  },
  { idOf: ({ http, metadataExchange, agentSds }) => `${http}|${metadataExchange}|${agentSds}` },
);

/** TLS with certificates from the proxy's file system; clients show one only where authorities are given. */
export function fileTls(files: {
  readonly certificate: string;
  readonly key: string;
  readonly clientCa?: string;
}): TransportSocket {
  const { certificate, key, clientCa } = files;
  const context = create(DownstreamTlsContextSchema, {
    requireClientCertificate: clientCa !== undefined,
    commonTlsContext: {
      alpnProtocols: ['h2', 'http/1.1'],
      tlsCertificateSdsSecretConfigs: [agentSecret(`file-cert:${certificate}~${key}`)],
      ...(clientCa === undefined
        ? {}
        : {
            validationContextType: {
              case: 'combinedValidationContext',
              value: {
                defaultValidationContext: {},
                validationContextSdsSecretConfig: agentSecret(`file-root:${clientCa}`),
              },
            },
          }),
    },
  });
  return socketOf('envoy.transport_sockets.tls', packed(DownstreamTlsContextSchema, context));
}

function ofTrustDomain(domain: string) {
  return { matchPattern: { case: 'prefix' as const, value: `spiffe://${domain}/` } };
}

interface ServerTls {
  readonly domains: readonly string[];
  readonly parameters: TlsParameters;
}

const serverTls = query('server-tls', (read, _key: 'mesh'): ServerTls => {
  const { trustDomain, trustDomainAliases, meshMTLS } = read(mesh, 'mesh');
  const newest = meshMTLS?.minProtocolVersion === 'TLSV1_3';
  const ciphers = meshMTLS?.cipherSuites ?? [];
  return {
    domains: [...new Set([trustDomain ?? 'cluster.local', ...(trustDomainAliases ?? [])])],
    parameters: create(TlsParametersSchema, {
      tlsMinimumProtocolVersion: newest ? TlsParameters_TlsProtocol.TLSv1_3 : TlsParameters_TlsProtocol.TLSv1_2,
      tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
      cipherSuites: ciphers.length > 0 ? [...new Set(ciphers)] : newest ? [] : [...usualCiphers],
      ecdhCurves: [...(meshMTLS?.ecdhCurves ?? [])],
    }),
  };
});

/** Istio's choice of ciphers below TLS 1.3. */
const usualCiphers: readonly string[] = [
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-GCM-SHA256',
];
