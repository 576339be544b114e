// A whole control plane without a server: objects in, the resources of a proxy out.
import type { AnyObject } from '../../config/kinds/kinds.ts';
import { kindOf } from '../../config/kinds/kinds.ts';
import type { MeshConfig } from '../../config/mesh.ts';
import { keyOf } from '../../config/object.ts';
import type { ObjectChange } from '../../config/sources/source.ts';
import { jsonOf as jsonWith, type ResourceJson } from '../../discovery/dump.ts';
import type { Graph } from '../../discovery/graph/graph.ts';
import { factsInput, meshInput, type ProcessFacts } from '../../discovery/model/objects.ts';
import { classOf, proxies } from '../../discovery/proxy/classify.ts';
import type { Proxy } from '../../discovery/proxy/proxy.ts';
import type { ProxyClass } from '../../discovery/proxy/proxy-class.ts';
import type { EncodedResource } from '../../discovery/resource.ts';
import { createGraph, writeObjects } from '../../discovery/world.ts';
import { registry } from '../../protos/registry.ts';

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

/** A resource as JSON, with every Any expanded. */
export function jsonOf(resource: EncodedResource): ResourceJson {
  return jsonWith(resource, registry);
}
