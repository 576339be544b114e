// All resources of a class as they would be sent: what `translate`, dumps and tests read.
import { fromBinary, type Registry, toJson } from '@bufbuild/protobuf';
import { AnySchema, anyUnpack } from '@bufbuild/protobuf/wkt';
import type { Graph } from './graph/graph.ts';
import type { ProxyClass } from './proxy/proxy-class.ts';
import { anyBytesOf, type EncodedResource } from './resource.ts';
import { translators } from './translate/table.ts';
import type { ResourceType } from './xds-types.ts';

/** A resource as protojson. */
export type ResourceJson = Readonly<Record<string, unknown>>;

/** What a wildcard subscriber of the class gets, in directory order; empty for types it is not served. */
export function listResources(graph: Graph, client: ProxyClass, type: ResourceType): readonly EncodedResource[] {
  const translator = translators[client.flavour][type];
  if (translator === 'not served') return [];
  const found: EncodedResource[] = [];
  for (const ref of graph.read(translator.directory, client).values()) {
    const resource = graph.read(ref.query, ref.key);
    if (resource !== undefined) found.push(resource);
  }
  return found;
}

/** What a subscriber gets who asks for one name; undefined where there is no such resource. */
export function findResource(
  graph: Graph,
  client: ProxyClass,
  type: ResourceType,
  name: string,
): EncodedResource | undefined {
  const translator = translators[client.flavour][type];
  if (translator === 'not served') return undefined;
  const ref = graph.read(translator.directory, client).get(name) ?? graph.read(translator.found, { client, name });
  return ref === undefined ? undefined : graph.read(ref.query, ref.key);
}

/** A resource as JSON, with every Any expanded and no private key. Throws where the registry lacks its type. */
export function jsonOf(resource: EncodedResource, registry: Registry): ResourceJson {
  const any = fromBinary(AnySchema, anyBytesOf(resource));
  const message = anyUnpack(any, registry);
  const schema = message === undefined ? undefined : registry.getMessage(message.$typeName);
  if (message === undefined || schema === undefined) throw new Error(`no schema for ${any.typeUrl}`);
  const json = toJson(schema, message, { registry }) as ResourceJson;
  return message.$typeName === 'envoy.extensions.transport_sockets.tls.v3.Secret' ? withoutKey(json) : json;
}

/** What is shown of a Secret: dumps end up in files, terminals and reports. */
function withoutKey({ tlsCertificate, genericSecret, ...rest }: ResourceJson): ResourceJson {
  const hidden = { inlineString: '[redacted]' };
  return {
    ...rest,
    ...(tlsCertificate === undefined ? {} : { tlsCertificate: { ...(tlsCertificate as object), privateKey: hidden } }),
    ...(genericSecret === undefined ? {} : { genericSecret: { secret: hidden } }),
  };
}

/** Names of the route configurations that listeners refer to over RDS, each once, sorted. */
export function routeNamesOf(listeners: readonly ResourceJson[]): readonly string[] {
  return namesAt(listeners, (value) => (value as { rds?: { routeConfigName?: unknown } }).rds?.routeConfigName);
}

/** Names of the secrets that resources ask for over ADS, each once, sorted. */
export function secretNamesOf(resources: readonly ResourceJson[]): readonly string[] {
  return namesAt(resources, (value) => {
    const { name, sdsConfig } = value as { name?: unknown; sdsConfig?: { ads?: unknown } };
    return sdsConfig?.ads === undefined ? undefined : name;
  });
}

function namesAt(root: unknown, nameIn: (value: object) => unknown): readonly string[] {
  const found = new Set<string>();
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    const name = Array.isArray(value) ? undefined : nameIn(value);
    if (typeof name === 'string') found.add(name);
    for (const item of Object.values(value)) walk(item);
  };
  walk(root);
  return [...found].sort();
}
