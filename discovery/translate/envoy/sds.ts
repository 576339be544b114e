// Where a proxy gets keys and certificates from: its agent, its own files, or us (contract 1.8, SDS names).
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  ApiConfigSource_ApiType,
  ApiVersion,
  type ConfigSource,
  ConfigSourceSchema,
} from '../../../protos/gen/envoy/config/core/v3/config_source_pb.js';
import {
  type SdsSecretConfig,
  SdsSecretConfigSchema,
} from '../../../protos/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { seconds } from './wire.ts';

/** Name of the workload's own key and certificate. */
export const workloadCertificate = 'default';

/** Name of the mesh's roots. */
export const workloadRoots = 'ROOTCA';

/** The cluster of the agent's SDS socket, in the bootstrap. */
const agentCluster = 'sds-grpc';

/** The ADS stream that everything else comes over. */
export function adsSource(): ConfigSource {
  return create(ConfigSourceSchema, {
    configSourceSpecifier: { case: 'ads', value: {} },
    resourceApiVersion: ApiVersion.V3,
  });
}

function agentSource(init: MessageInitShape<typeof ConfigSourceSchema> = {}): ConfigSource {
  return create(ConfigSourceSchema, {
    configSourceSpecifier: {
      case: 'apiConfigSource',
      value: {
        apiType: ApiConfigSource_ApiType.GRPC,
        transportApiVersion: ApiVersion.V3,
        setNodeOnFirstMessageOnly: true,
        grpcServices: [{ targetSpecifier: { case: 'envoyGrpc', value: { clusterName: agentCluster } } }],
      },
    },
    resourceApiVersion: ApiVersion.V3,
    ...init,
  });
}

/**
 * The workload's own certificate (`default`) or the mesh's roots (`ROOTCA`): from the agent where there is one, else
 * from us. Nothing may be served before they are there, hence no timeout.
 */
export function workloadSecret(name: string, agentSds: boolean): SdsSecretConfig {
  const sdsConfig = agentSds ? agentSource({ initialFetchTimeout: seconds(0) }) : adsSource();
  return create(SdsSecretConfigSchema, { name, sdsConfig });
}

/** A secret that the agent reads from files: `file-cert:<certificate>~<key>`, `file-root:<ca>`, `file-root:system`. */
export function agentSecret(name: string): SdsSecretConfig {
  return create(SdsSecretConfigSchema, { name, sdsConfig: agentSource() });
}

/** A secret that we serve from a Kubernetes Secret or ConfigMap, by the name as it will be requested. */
export function servedSecret(name: string): SdsSecretConfig {
  return create(SdsSecretConfigSchema, { name, sdsConfig: adsSource() });
}

/** The SDS name of a credentialName: with a scheme as it is, else a Secret of the proxy's own namespace. */
export function credentialResource(credentialName: string): string {
  return credentialName.includes('://') ? credentialName : `kubernetes://${credentialName}`;
}

/** A certificate server of the mesh's (MeshConfig.extensionProviders, `sds`), which proxies ask for `sds://` names. */
export interface ExternalSds {
  readonly cluster: string;
  readonly authority: string;
}

/** The secret of a Gateway's credentialName. `suffix` asks for a part of it (`-cacert`). */
export function credentialSecret(
  credentialName: string,
  suffix: string,
  external: ExternalSds | undefined,
): SdsSecretConfig {
  if (credentialName.startsWith('sds://') && external !== undefined) {
    const { cluster: clusterName, authority } = external;
    const sdsConfig = agentSource({
      configSourceSpecifier: {
        case: 'apiConfigSource',
        value: {
          apiType: ApiConfigSource_ApiType.GRPC,
          transportApiVersion: ApiVersion.V3,
          setNodeOnFirstMessageOnly: true,
          grpcServices: [{ targetSpecifier: { case: 'envoyGrpc', value: { clusterName, authority } } }],
        },
      },
    });
    return create(SdsSecretConfigSchema, { name: `${credentialName.slice('sds://'.length)}${suffix}`, sdsConfig });
  }
  return servedSecret(`${credentialResource(credentialName)}${suffix}`);
}
