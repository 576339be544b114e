// The sync status in the two forms istioctl reads: JSON over HTTP, ClientConfig messages over xDS (contract 2.2, 2.3).
import { create, toBinary } from '@bufbuild/protobuf';
import { AnySchema, anyPack, timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ResourceType } from '../xds-types.ts';
import type { ProxyStatus, TypeStatus } from './sync-status.ts';

const prefixes: Readonly<Partial<Record<ResourceType, string>>> = {
  cluster: 'cluster',
  listener: 'listener',
  route: 'route',
  endpoint: 'endpoint',
};

/** `/debug/syncz`: one object a proxy. */
export function synczJson(statuses: readonly ProxyStatus[]): readonly Readonly<Record<string, unknown>>[] {
  return statuses.map((status) => {
    const json: Record<string, unknown> = {
      cluster_id: status.cluster,
      proxy: status.workloadId,
      proxy_type: status.nodeType,
      istio_version: status.istioVersion,
    };
    const resources: Record<string, unknown> = {};
    for (const type of status.types) {
      const prefix = prefixes[type.type];
      if (prefix !== undefined) {
        json[`${prefix}_sent`] = type.sent?.nonce ?? '';
        json[`${prefix}_acked`] = type.acked?.nonce ?? '';
      }
      resources[type.typeUrl] = resourceJson(type);
    }
    return { ...json, resources };
  });
}

function resourceJson(type: TypeStatus): Readonly<Record<string, unknown>> {
  return {
    state: type.state,
    sent: type.sent?.nonce ?? '',
    acked: type.acked?.nonce ?? '',
    ...(type.sent === undefined ? {} : { sentTime: new Date(type.sent.at).toISOString(), version: type.sent.version }),
    ...(type.rejection === undefined
      ? {}
      : {
          lastError: type.rejection.message,
          rejected: type.rejection.resources.map(({ name, sources }) => ({ name, sources })),
        }),
  };
}

/** `istio.io/debug/syncz`: one serialised Any of envoy.service.status.v3.ClientConfig a proxy. */
export async function synczAnys(statuses: readonly ProxyStatus[]): Promise<readonly Uint8Array[]> {
  // Loaded when asked for: the message's file pulls in most of Envoy's API.
  const { ClientConfigSchema, ConfigStatus } = await import('../../protos/gen/envoy/service/status/v3/csds_pb.js');
  return statuses.map((status) => {
    const config = create(ClientConfigSchema, {
      node: {
        id: status.workloadId,
        metadata: {
          CLUSTER_ID: status.cluster,
          NAMESPACE: status.namespace,
          ISTIO_VERSION: status.istioVersion,
        },
      },
      genericXdsConfigs: status.types
        .toSorted((a, b) => (a.typeUrl < b.typeUrl ? -1 : 1))
        .map((type) => ({
          typeUrl: type.typeUrl,
          configStatus: ConfigStatus[type.state],
          ...(type.sent === undefined ? {} : { lastUpdated: timestampFromMs(type.sent.at) }),
          ...(type.rejection === undefined
            ? {}
            : {
                errorState: {
                  lastUpdateAttempt: timestampFromMs(type.rejection.at),
                  details: type.rejection.message,
                },
              }),
        })),
    });
    return toBinary(AnySchema, anyPack(ClientConfigSchema, config));
  });
}
