// Which proxies are connected, by node id: a proxy that reconnects opens its new stream before the old one is known dead.
import type { Graph, Input, Query } from '../graph/graph.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { ProxyClass } from '../proxy/proxy-class.ts';
import type { XdsStream } from './stream.ts';

/** Writes the graph's input of proxies and reads their classes. */
export class Roster {
  readonly #graph: Graph;
  readonly #proxies: Input<string, Proxy | undefined>;
  readonly #classOf: Query<string, ProxyClass | undefined>;
  readonly #byNode = new Map<string, readonly XdsStream[]>();

  constructor(graph: Graph, proxies: Input<string, Proxy | undefined>, classOf: Query<string, ProxyClass | undefined>) {
    this.#graph = graph;
    this.#proxies = proxies;
    this.#classOf = classOf;
  }

  /** Name of the query whose marks mean that a proxy's class may be another one. */
  get classNode(): string {
    return this.#classOf.name;
  }

  /** Adds a stream's proxy; the newest stream of a node decides what the proxy is. Returns whether the graph changed. */
  join(stream: XdsStream, proxy: Proxy): boolean {
    this.#byNode.set(proxy.nodeId, [...this.of(proxy.nodeId), stream]);
    this.#graph.hold(this.#classOf, proxy.nodeId);
    return this.#graph.write(this.#proxies, proxy.nodeId, proxy);
  }

  /** Removes a stream, and the proxy with its last one. Returns whether the graph changed. */
  leave(stream: XdsStream, nodeId: string): boolean {
    const rest = this.of(nodeId).filter((other) => other !== stream);
    if (rest.length > 0) this.#byNode.set(nodeId, rest);
    else this.#byNode.delete(nodeId);
    const changed = this.#graph.write(this.#proxies, nodeId, rest[rest.length - 1]?.proxy);
    if (rest.length === 0) this.#graph.drop(this.#classOf, nodeId);
    return changed;
  }

  /** Streams of a node, oldest first. */
  of(nodeId: string): readonly XdsStream[] {
    return this.#byNode.get(nodeId) ?? [];
  }

  /** The class of a connected proxy. Throws what the query throws. */
  classOf(nodeId: string): ProxyClass | undefined {
    return this.#graph.read(this.#classOf, nodeId);
  }
}
