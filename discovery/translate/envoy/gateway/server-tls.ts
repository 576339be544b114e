// TLS of a gateway's server: its certificates by SDS or file, whether clients show theirs, versions and ciphers.
import { create } from '@bufbuild/protobuf';
import type { ServerTlsSettings } from '../../../../config/kinds/gateway.ts';
import { cipherSuites } from '../../../../config/rules/cipher-suites.ts';
import { DataSourceSchema, type TransportSocket } from '../../../../protos/gen/envoy/config/core/v3/base_pb.js';
import {
  type CertificateValidationContext,
  CertificateValidationContextSchema,
  TlsCertificateSchema,
  TlsParametersSchema,
  CertificateValidationContext_TrustChainVerification as TrustChain,
  TlsParameters_TlsProtocol as Version,
} from '../../../../protos/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import type { SdsSecretConfig } from '../../../../protos/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import {
  type CommonTlsContext,
  CommonTlsContextSchema,
  DownstreamTlsContextSchema,
} from '../../../../protos/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { StringMatcherSchema } from '../../../../protos/gen/envoy/type/matcher/v3/string_pb.js';
import { query } from '../../../graph/graph.ts';
import { mesh } from '../../../model/objects.ts';
import {
  agentSecret,
  credentialSecret,
  type ExternalSds,
  workloadCertificate,
  workloadRoots,
  workloadSecret,
} from '../sds.ts';
import { socketOf } from '../upstream-tls.ts';
import { packed } from '../wire.ts';

/** The mesh's defaults for TLS with the outside (MeshConfig.tlsDefaults). */
export interface TlsDefaults {
  readonly minimum?: Version;
  readonly ciphers: readonly string[];
  readonly curves: readonly string[];
}

/** What the context depends on besides the server's own settings. */
export interface ServerTlsContext {
  readonly agentSds: boolean;
  /** Servers of TCP may be offered metadata exchange by other sidecars. */
  readonly exchangesMetadata: boolean;
  /** Certificate servers of `sds://` names. */
  readonly externalSds?: ExternalSds;
  readonly defaults: TlsDefaults;
}

/** The mesh's defaults, for all gateways. */
export const gatewayTlsDefaults = query('gateway-tls-defaults', (read, _key: 'mesh'): TlsDefaults => {
  const { tlsDefaults } = read(mesh, 'mesh');
  const minimum = versions[tlsDefaults?.minProtocolVersion ?? ''];
  return {
    ...(minimum === undefined ? {} : { minimum }),
    ciphers: tlsDefaults?.cipherSuites ?? [],
    curves: tlsDefaults?.ecdhCurves ?? [],
  };
});

/** The transport socket of a server that ends TLS. */
export function serverTls(settings: ServerTlsSettings, context: ServerTlsContext): TransportSocket {
  const common = create(CommonTlsContextSchema, {
    alpnProtocols: [
      ...(settings.mode === 'ISTIO_MUTUAL' && context.exchangesMetadata ? ['istio-peer-exchange'] : []),
      'h2',
      'http/1.1',
    ],
  });
  if (settings.mode === 'ISTIO_MUTUAL') addWorkload(common, settings, context.agentSds);
  else if (credentialsOf(settings).length > 0) addCredentials(common, settings, context.externalSds);
  else addFiles(common, settings, context.agentSds);
  if (settings.mode !== 'ISTIO_MUTUAL') addParameters(common, settings, context.defaults);
  return socketOf(
    'envoy.transport_sockets.tls',
    packed(DownstreamTlsContextSchema, {
      commonTlsContext: common,
      requireClientCertificate: settings.mode === 'MUTUAL' || settings.mode === 'ISTIO_MUTUAL',
    }),
  );
}

function credentialsOf({ credentialName, credentialNames }: ServerTlsSettings): readonly string[] {
  if ((credentialNames ?? []).length > 0) return credentialNames ?? [];
  return (credentialName ?? '') === '' ? [] : [credentialName ?? ''];
}

function addWorkload(common: CommonTlsContext, settings: ServerTlsSettings, agentSds: boolean): void {
  common.tlsCertificateSdsSecretConfigs = [workloadSecret(workloadCertificate, agentSds)];
  combine(common, validationOf(settings), workloadSecret(workloadRoots, agentSds));
}

function addCredentials(
  common: CommonTlsContext,
  settings: ServerTlsSettings,
  external: ExternalSds | undefined,
): void {
  const names = credentialsOf(settings);
  common.tlsCertificateSdsSecretConfigs = names.map((name) => credentialSecret(name, '', external));
  const validation = validationOf(settings);
  if (settings.mode === 'MUTUAL' || settings.mode === 'OPTIONAL_MUTUAL') {
    const given = settings.caCertCredentialName ?? '';
    combine(common, validation, credentialSecret(given === '' ? (names[0] ?? '') : given, '-cacert', external));
  } else if ((settings.subjectAltNames ?? []).length > 0) {
    common.validationContextType = { case: 'validationContext', value: validation };
  }
}

/** Files are read by the agent, which watches them, or by Envoy itself where there is none. */
function addFiles(common: CommonTlsContext, settings: ServerTlsSettings, agentSds: boolean): void {
  const { serverCertificate, privateKey, tlsCertificates = [], caCertificates = '' } = settings;
  const pairs = tlsCertificates.length > 0 ? tlsCertificates : [{ serverCertificate, privateKey }];
  if (agentSds) {
    common.tlsCertificateSdsSecretConfigs = pairs.map((pair) =>
      agentSecret(`file-cert:${pair.serverCertificate ?? ''}~${pair.privateKey ?? ''}`),
    );
  } else {
    common.tlsCertificates = pairs.map((pair) =>
      create(TlsCertificateSchema, {
        certificateChain: fileSource(pair.serverCertificate ?? ''),
        privateKey: fileSource(pair.privateKey ?? ''),
      }),
    );
  }
  const validation = validationOf(settings);
  const asksClients = settings.mode === 'MUTUAL' || settings.mode === 'OPTIONAL_MUTUAL';
  if (asksClients && caCertificates !== '' && agentSds) {
    combine(common, validation, agentSecret(`file-root:${caCertificates}`));
  } else if (asksClients && caCertificates !== '') {
    validation.trustedCa = create(DataSourceSchema, fileSource(caCertificates));
    common.validationContextType = { case: 'validationContext', value: validation };
  } else if ((settings.subjectAltNames ?? []).length > 0) {
    common.validationContextType = { case: 'validationContext', value: validation };
  }
}

function fileSource(filename: string) {
  return { specifier: { case: 'filename' as const, value: filename } };
}

function combine(common: CommonTlsContext, own: CertificateValidationContext, roots: SdsSecretConfig): void {
  common.validationContextType = create(CommonTlsContextSchema, {
    validationContextType: {
      case: 'combinedValidationContext',
      value: { defaultValidationContext: own, validationContextSdsSecretConfig: roots },
    },
  }).validationContextType;
}

function validationOf(settings: ServerTlsSettings): CertificateValidationContext {
  const { caCrl = '' } = settings;
  return create(CertificateValidationContextSchema, {
    matchSubjectAltNames: (settings.subjectAltNames ?? []).map((name) =>
      create(StringMatcherSchema, { matchPattern: { case: 'exact', value: name } }),
    ),
    verifyCertificateSpki: [...(settings.verifyCertificateSpki ?? [])],
    verifyCertificateHash: [...(settings.verifyCertificateHash ?? [])],
    ...(settings.insecureSkipVerify === true ? { trustChainVerification: TrustChain.ACCEPT_UNTRUSTED } : {}),
    ...(caCrl === '' ? {} : { crl: fileSource(caCrl) }),
  });
}

function addParameters(common: CommonTlsContext, settings: ServerTlsSettings, defaults: TlsDefaults): void {
  const minimum = versions[settings.minProtocolVersion ?? ''] ?? defaults.minimum;
  const maximum = versions[settings.maxProtocolVersion ?? ''];
  const written = (settings.cipherSuites ?? []).filter((suite) => cipherSuites.has(suite));
  const ciphers = [...new Set(written.length > 0 ? written : defaults.ciphers)];
  if (minimum === undefined && maximum === undefined && ciphers.length === 0 && defaults.curves.length === 0) return;
  common.tlsParams = create(TlsParametersSchema, {
    ...(minimum === undefined ? {} : { tlsMinimumProtocolVersion: minimum }),
    ...(maximum === undefined ? {} : { tlsMaximumProtocolVersion: maximum }),
    cipherSuites: ciphers,
    ecdhCurves: [...defaults.curves],
  });
}

const versions: Readonly<Record<string, Version>> = {
  TLSV1_0: Version.TLSv1_0,
  TLSV1_1: Version.TLSv1_1,
  TLSV1_2: Version.TLSv1_2,
  TLSV1_3: Version.TLSv1_3,
};
