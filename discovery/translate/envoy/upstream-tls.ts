// TLS of connections that a proxy opens: by DestinationRule, or by itself to workloads that take Istio mTLS.
import { create } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import type { ClientTlsSettings } from '../../../config/kinds/common.ts';
import {
  DataSourceSchema,
  type TransportSocket,
  TransportSocketSchema,
} from '../../../protos/gen/envoy/config/core/v3/base_pb.js';
import { RawBufferSchema } from '../../../protos/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js';
import {
  type CertificateValidationContext,
  CertificateValidationContextSchema,
  TlsCertificateSchema,
  TlsParameters_TlsProtocol,
} from '../../../protos/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import type { SdsSecretConfig } from '../../../protos/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import {
  type CommonTlsContext,
  CommonTlsContext_CombinedCertificateValidationContextSchema,
  CommonTlsContextSchema,
  UpstreamTlsContextSchema,
} from '../../../protos/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import {
  agentSecret,
  credentialResource,
  servedSecret,
  workloadCertificate,
  workloadRoots,
  workloadSecret,
} from './sds.ts';
import { packed } from './wire.ts';

/** What decides how TLS settings are written down. */
export interface UpstreamTlsContext {
  readonly agentSds: boolean;
  /** Whether istio.metadata_exchange runs, so that its ALPN may be offered. */
  readonly metadataExchange: boolean;
  readonly http2: boolean;
  /** HTTP for certain: without istio.alpn the cluster itself has to name its protocol. */
  readonly http1: boolean;
  /** credentialName is for gateways, and for rules that select workloads. */
  readonly credentials: boolean;
  /** Names of the server where the settings have none of their own. */
  readonly subjectAltNames: readonly string[];
}

/** File that upstream's distributions of Envoy run beside; used where no agent can say where the system's roots are. */
const systemRoots = '/etc/ssl/certs/ca-certificates.crt';

const tlsSocket = 'envoy.transport_sockets.tls';

/** Plain text. */
export function rawBuffer(): TransportSocket {
  return socketOf('envoy.transport_sockets.raw_buffer', packed(RawBufferSchema, {}));
}

/** A transport socket by its name and configuration. */
export function socketOf(name: string, typedConfig: Any): TransportSocket {
  return create(TransportSocketSchema, { name, configType: { case: 'typedConfig', value: typedConfig } });
}

/** Istio mTLS with the workload's certificate. */
export function istioMutualTls(
  sni: string,
  subjectAltNames: readonly string[],
  context: UpstreamTlsContext,
): TransportSocket {
  const common = commonContext(istioProtocols(context));
  common.tlsCertificateSdsSecretConfigs = [workloadSecret(workloadCertificate, context.agentSds)];
  validateWith(common, exactly(subjectAltNames), workloadSecret(workloadRoots, context.agentSds));
  return tls(common, sni);
}

/**
 * TLS as a DestinationRule asks for it, modes SIMPLE and MUTUAL. Undefined where MUTUAL names no certificate: such a
 * cluster would be refused.
 */
export function userTls(settings: ClientTlsSettings, context: UpstreamTlsContext): TransportSocket | undefined {
  const credential = context.credentials ? (settings.credentialName ?? '') : '';
  const common = commonContext(context.http2 ? ['h2'] : []);
  if (settings.mode === 'MUTUAL' && !certify(common, settings, credential, context)) return undefined;
  validate(common, settings, credential, context);
  return tls(common, settings.sni ?? '');
}

function commonContext(alpnProtocols: string[]): CommonTlsContext {
  return create(CommonTlsContextSchema, {
    alpnProtocols,
    tlsParams: {
      tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_2,
      tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
    },
  });
}

function tls(commonTlsContext: CommonTlsContext, sni: string): TransportSocket {
  return socketOf(tlsSocket, packed(UpstreamTlsContextSchema, { commonTlsContext, sni }));
}

/** Peers tell HTTP from TCP by the ALPN; istio.alpn overrides it for each request (contract 3.1, 3.3). */
function istioProtocols(context: UpstreamTlsContext): string[] {
  if (context.metadataExchange) return ['istio-peer-exchange', 'istio', ...(context.http2 ? ['h2'] : [])];
  if (context.http2) return ['istio-h2', 'istio', 'h2'];
  return context.http1 ? ['istio-http/1.1', 'istio', 'http/1.1'] : ['istio'];
}

/** Sets the client's certificate; false where the settings have none. */
function certify(
  common: CommonTlsContext,
  settings: ClientTlsSettings,
  credential: string,
  context: UpstreamTlsContext,
): boolean {
  const { clientCertificate = '', privateKey = '' } = settings;
  if (credential !== '') {
    common.tlsCertificateSdsSecretConfigs = [servedSecret(credentialResource(credential))];
  } else if (clientCertificate === '' || privateKey === '') {
    return false;
  } else if (context.agentSds) {
    common.tlsCertificateSdsSecretConfigs = [agentSecret(`file-cert:${clientCertificate}~${privateKey}`)];
  } else {
    const files = { certificateChain: fileSource(clientCertificate), privateKey: fileSource(privateKey) };
    common.tlsCertificates = [create(TlsCertificateSchema, files)];
  }
  return true;
}

/** Sets how the server's certificate is verified. */
function validate(
  common: CommonTlsContext,
  settings: ClientTlsSettings,
  credential: string,
  context: UpstreamTlsContext,
): void {
  const own = settings.subjectAltNames ?? [];
  const checks = exactly(own.length > 0 ? own : context.subjectAltNames);
  if (settings.caCrl) checks.crl = create(DataSourceSchema, fileSource(settings.caCrl));
  if (settings.insecureSkipVerify ?? false) {
    const unchecked = create(CertificateValidationContextSchema);
    if (credential === '') common.validationContextType = { case: 'validationContext', value: unchecked };
    return;
  }
  const roots = settings.caCertificates || 'system';
  if (credential !== '') validateWith(common, checks, servedSecret(`${credentialResource(credential)}-cacert`));
  else if (context.agentSds) validateWith(common, checks, agentSecret(`file-root:${roots}`));
  else {
    checks.trustedCa = create(DataSourceSchema, fileSource(roots === 'system' ? systemRoots : roots));
    common.validationContextType = { case: 'validationContext', value: checks };
  }
}

function validateWith(common: CommonTlsContext, checks: CertificateValidationContext, roots: SdsSecretConfig): void {
  const value = create(CommonTlsContext_CombinedCertificateValidationContextSchema, {
    defaultValidationContext: checks,
    validationContextSdsSecretConfig: roots,
  });
  common.validationContextType = { case: 'combinedValidationContext', value };
}

/** matchSubjectAltNames is deprecated in Envoy's API, but takes DNS names and URIs alike, as Istio's field does. */
function exactly(names: readonly string[]): CertificateValidationContext {
  return create(CertificateValidationContextSchema, {
    matchSubjectAltNames: names.map((name) => ({ matchPattern: { case: 'exact' as const, value: name } })),
  });
}

function fileSource(filename: string) {
  return { specifier: { case: 'filename' as const, value: filename } };
}
