// A whole control plane without a server: objects in, the resources of a proxy out.
import { fromBinary, toJson } from '@bufbuild/protobuf';
import { AnySchema, anyUnpack } from '@bufbuild/protobuf/wkt';
import type { AnyObject } from '../../config/kinds/kinds.ts';
import { kindOf } from '../../config/kinds/kinds.ts';
import type { MeshConfig } from '../../config/mesh.ts';
import { keyOf } from '../../config/object.ts';
import type { ObjectChange } from '../../config/sources/source.ts';
import type { Graph } from '../../discovery/graph/graph.ts';
import { factsInput, meshInput, type ProcessFacts } from '../../discovery/model/objects.ts';
import { classOf, proxies } from '../../discovery/proxy/classify.ts';
import type { Proxy } from '../../discovery/proxy/proxy.ts';
import type { ProxyClass } from '../../discovery/proxy/proxy-class.ts';
import type { EncodedResource } from '../../discovery/resource.ts';
import { translators } from '../../discovery/translate/table.ts';
import { createGraph, writeObjects } from '../../discovery/world.ts';
import type { ResourceType } from '../../discovery/xds-types.ts';
import { registry } from '../../protos/registry.ts';

/** A resource as protojson. */
export type ResourceJson = Readonly<Record<string, unknown>>;

/** Facts that tests use unless they say otherwise. */
export const testFacts: ProcessFacts = {
  cluster: 'Kubernetes',
  domain: 'cluster.local',
  systemNamespace: 'istio-system',
  features: {},
};

/** A raw object as the sources would hand it over; undefined where its kind is not known. */
export function changeOf(raw: {
  apiVersion: string;
  kind: string;
  metadata: Readonly<Record<string, unknown>>;
}): ObjectChange | undefined {
  const found = kindOf(raw.apiVersion, raw.kind);
  if (found.found !== 'kind') return undefined;
  const object = { ...raw, metadata: { namespace: '', ...raw.metadata } } as unknown as AnyObject;
  return { kind: object.kind, key: keyOf(object.metadata), object };
}

/** A graph holding these objects. */
export function graphOf(
  raws: readonly Parameters<typeof changeOf>[0][],
  mesh: MeshConfig,
  facts: ProcessFacts = testFacts,
): Graph {
  const graph = createGraph();
  graph.write(meshInput, 'mesh', mesh);
  graph.write(factsInput, 'facts', facts);
  writeObjects(
    graph,
    raws.map(changeOf).filter((change) => change !== undefined),
  );
  return graph;
}

/** Connects a proxy and gives its class. */
export function connect(graph: Graph, proxy: Proxy): ProxyClass {
  graph.write(proxies, proxy.nodeId, proxy);
  const proxyClass = graph.read(classOf, proxy.nodeId);
  if (proxyClass === undefined) throw new Error('the proxy has no class');
  return proxyClass;
}

/** What a wildcard subscriber of the class gets, in directory order. */
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

/** What a subscriber gets who asks for one name. */
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

/** A resource as JSON, with every Any expanded. */
export function jsonOf(resource: EncodedResource): ResourceJson {
  const any = fromBinary(AnySchema, resource.any);
  const message = anyUnpack(any, registry);
  if (message === undefined) throw new Error(`no type for ${any.typeUrl}`);
  const schema = registry.getMessage(message.$typeName);
  if (schema === undefined) throw new Error(`no schema for ${message.$typeName}`);
  return toJson(schema, message, { registry }) as ResourceJson;
}
