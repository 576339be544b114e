// What a proxy should hold by now, in the form of Envoy's own config dump, without any private key.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type Any, AnySchema, anyPack } from '@bufbuild/protobuf/wkt';
import { anyBytesOf, type EncodedResource } from '../resource.ts';
import type { XdsStream } from '../xds/stream.ts';
import type { ResourceType } from '../xds-types.ts';

/** The parts a dump may be cut down to, by the short names of the `types` parameter. */
export const dumpTypes: ReadonlyMap<string, ResourceType> = new Map([
  ['cds', 'cluster'],
  ['lds', 'listener'],
  ['rds', 'route'],
  ['eds', 'endpoint'],
  ['sds', 'secret'],
]);

/** The Anys of admin.ConfigDump.configs, in Envoy's order (contract 2.2). Endpoints only where asked for. */
export async function configDump(
  stream: XdsStream,
  types: ReadonlySet<ResourceType> | undefined,
  withEndpoints: boolean,
): Promise<readonly Any[]> {
  // Loaded when asked for: the messages' files pull in most of Envoy's API.
  const [dump, shared] = await Promise.all([
    import('../../protos/gen/envoy/admin/v3/config_dump_pb.js'),
    import('../../protos/gen/envoy/admin/v3/config_dump_shared_pb.js'),
  ]);
  const of = (type: ResourceType) => (types === undefined || types.has(type) ? resourcesOf(stream, type) : []);
  const versionInfo = (type: ResourceType): string => stream.channels.get(type)?.sub.sent?.version ?? '';
  const clusters = create(shared.ClustersConfigDumpSchema, {
    versionInfo: versionInfo('cluster'),
    dynamicActiveClusters: of('cluster').map((resource) => ({
      versionInfo: resource.version,
      cluster: anyOf(resource),
    })),
  });
  const listeners = create(shared.ListenersConfigDumpSchema, {
    versionInfo: versionInfo('listener'),
    dynamicListeners: of('listener').map((resource) => ({
      name: resource.name,
      activeState: { versionInfo: resource.version, listener: anyOf(resource) },
    })),
  });
  const routes = create(shared.RoutesConfigDumpSchema, {
    dynamicRouteConfigs: of('route').map((resource) => ({
      versionInfo: resource.version,
      routeConfig: anyOf(resource),
    })),
  });
  const secrets = create(dump.SecretsConfigDumpSchema, {
    dynamicActiveSecrets: await Promise.all(
      of('secret').map(async (resource) => ({
        name: resource.name,
        versionInfo: resource.version,
        secret: await redact(anyOf(resource)),
      })),
    ),
  });
  const endpoints = create(shared.EndpointsConfigDumpSchema, {
    dynamicEndpointConfigs: of('endpoint').map((resource) => ({
      versionInfo: resource.version,
      endpointConfig: anyOf(resource),
    })),
  });
  return [
    anyPack(dump.BootstrapConfigDumpSchema, create(dump.BootstrapConfigDumpSchema)),
    anyPack(shared.ClustersConfigDumpSchema, clusters),
    ...(withEndpoints ? [anyPack(shared.EndpointsConfigDumpSchema, endpoints)] : []),
    anyPack(shared.ListenersConfigDumpSchema, listeners),
    anyPack(shared.ScopedRoutesConfigDumpSchema, create(shared.ScopedRoutesConfigDumpSchema)),
    anyPack(shared.RoutesConfigDumpSchema, routes),
    anyPack(dump.SecretsConfigDumpSchema, secrets),
    anyPack(shared.EcdsConfigDumpSchema, create(shared.EcdsConfigDumpSchema)),
  ];
}

/** What a proxy should hold of a type; secrets as they are, so mind where they go. */
export function resourcesOf(stream: XdsStream, type: ResourceType): readonly EncodedResource[] {
  return stream.channels.get(type)?.complete() ?? [];
}

/** The Any that a resource is on the wire. */
export function anyOf(resource: EncodedResource): Any {
  return fromBinary(AnySchema, anyBytesOf(resource));
}

async function redact(wrapped: Any): Promise<Any> {
  const { SecretSchema } = await import('../../protos/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js');
  const secret = fromBinary(SecretSchema, wrapped.value);
  const hidden = { specifier: { case: 'inlineString' as const, value: '[redacted]' } };
  const { type } = secret;
  const open =
    type.case === 'tlsCertificate'
      ? create(SecretSchema, {
          name: secret.name,
          type: {
            case: 'tlsCertificate',
            value: {
              ...(type.value.certificateChain && { certificateChain: type.value.certificateChain }),
              privateKey: hidden,
            },
          },
        })
      : type.case === 'validationContext'
        ? secret
        : create(SecretSchema, { name: secret.name, type: { case: 'genericSecret', value: { secret: hidden } } });
  return create(AnySchema, { typeUrl: wrapped.typeUrl, value: toBinary(SecretSchema, open) });
}
