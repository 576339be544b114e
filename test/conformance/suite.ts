// Reads the cases of the xds and simulation suites, and turns their input into Meltemi's own.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { create } from '@bufbuild/protobuf';
import type { MeshConfig } from '../../config/mesh.ts';
import type { Graph } from '../../discovery/graph/graph.ts';
import { parseNode } from '../../discovery/proxy/node.ts';
import type { Proxy } from '../../discovery/proxy/proxy.ts';
import type { ProxyClass } from '../../discovery/proxy/proxy-class.ts';
import { NodeSchema } from '../../protos/gen/envoy/config/core/v3/base_pb.js';
import { connect, graphOf, testFacts } from '../support/world.ts';

/** A proxy as a case describes it (suites/README.md, shared conventions). */
export interface CaseProxy {
  readonly type: string;
  readonly id: string;
  readonly nodeId: string;
  readonly namespace: string;
  readonly dnsDomain: string;
  readonly ipAddresses: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly locality?: { readonly region?: string; readonly zone?: string; readonly subZone?: string };
}

/** Any object of a case. */
export interface CaseObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** What a case feeds the control plane. */
export interface CaseInput {
  readonly istio?: readonly CaseObject[];
  readonly kubernetes?: Readonly<Record<string, readonly CaseObject[]>>;
  readonly clusterID?: string;
  readonly meshConfig?: Readonly<Record<string, unknown>>;
  readonly meshNetworks?: unknown;
  readonly env?: Readonly<Record<string, string>>;
  readonly creationRank?: readonly number[];
}

/** The part of a case that both suites share. */
export interface Case {
  readonly name: string;
  readonly input: CaseInput;
  readonly proxy: CaseProxy;
}

/** Cases of a folder in name order, one at a time. */
export function* readCases<C extends Case>(folder: string): Generator<C> {
  for (const file of readdirSync(folder).sort()) {
    if (file.endsWith('.json') && !file.startsWith('_'))
      yield JSON.parse(readFileSync(join(folder, file), 'utf8')) as C;
  }
}

const handledIstioKinds: ReadonlySet<string> = new Set([
  'VirtualService',
  'DestinationRule',
  'Gateway',
  'ServiceEntry',
  'WorkloadEntry',
  'WorkloadGroup',
  'Sidecar',
  'PeerAuthentication',
]);

const handledGroups: ReadonlySet<string> = new Set(['', 'discovery.k8s.io', 'networking.k8s.io', 'apps', 'batch']);

/** Why a case lies outside what is built so far, by what its input holds; undefined where it is to be judged. */
export function skipReason(c: Case): string | undefined {
  if (c.proxy.type !== 'sidecar' && c.proxy.type !== 'router') return `proxy type ${c.proxy.type}`;
  const clusters = Object.values(c.input.kubernetes ?? {});
  if (clusters.length > 1) return 'several clusters';
  if ('PILOT_ENABLE_AMBIENT' in (c.input.env ?? {})) return 'ambient mode';
  for (const object of [...(c.input.istio ?? []), ...clusters.flat()]) {
    const group = object.apiVersion.includes('/') ? (object.apiVersion.split('/')[0] ?? '') : '';
    const istio = group.endsWith('istio.io');
    if (istio && !handledIstioKinds.has(object.kind)) return `kind ${object.kind}`;
    if (!istio && !handledGroups.has(group)) return `API group ${group}`;
  }
  return undefined;
}

/** All objects of a case as they would stand in the API server, aged by `creationRank` where the case gives one. */
function objectsOf(input: CaseInput): readonly CaseObject[] {
  const istio = (input.istio ?? []).map((object, i) => {
    const rank = input.creationRank?.[i];
    if (rank === undefined || object.metadata['creationTimestamp'] !== undefined) return object;
    const creationTimestamp = new Date(Date.UTC(2024, 0, 1, 0, 0, rank)).toISOString().replace('.000Z', 'Z');
    return { ...object, metadata: { ...object.metadata, creationTimestamp } };
  });
  return [...istio, ...Object.values(input.kubernetes ?? {}).flat(), ...networksOf(input)];
}

/** The settings of networks, where istiod reads them: the mesh's ConfigMap. JSON is YAML. */
function networksOf(input: CaseInput): readonly CaseObject[] {
  if (input.meshNetworks === undefined) return [];
  const data = { meshNetworks: JSON.stringify(input.meshNetworks) };
  const metadata = { name: 'istio', namespace: 'istio-system' };
  return [{ apiVersion: 'v1', kind: 'ConfigMap', metadata, data } as CaseObject];
}

/** The mesh configuration of a case: the suite's default with the case's differences (suites/README.md). */
function meshOf(folder: string, input: CaseInput): Readonly<Record<string, unknown>> {
  const base = JSON.parse(readFileSync(join(folder, '..', 'default-mesh.json'), 'utf8')) as Record<string, unknown>;
  const { _unset, defaultConfig, ...over } = (input.meshConfig ?? {}) as Record<string, unknown>;
  for (const field of (_unset as string[] | undefined) ?? []) delete base[field];
  return {
    ...base,
    ...over,
    defaultConfig: { ...(base['defaultConfig'] as object), ...(defaultConfig as object | undefined) },
  };
}

/** A case's world, with its proxy connected. */
export function worldOf(
  folder: string,
  input: CaseInput,
  proxy: CaseProxy,
): { readonly graph: Graph; readonly client: ProxyClass } {
  const graph = graphOf(objectsOf(input), meshOf(folder, input) as unknown as MeshConfig, {
    ...testFacts,
    cluster: input.clusterID ?? 'Kubernetes',
    // The oracle's objects had no domain, so short names in rules became `name.namespace`.
    ruleDomain: '',
    features: input.env ?? {},
  });
  return { graph, client: connect(graph, proxyOf(proxy)) };
}

/** A case's proxy as its Node message makes it, with the namespace that the case says decides. */
function proxyOf(proxy: CaseProxy): Proxy {
  const { region = '', zone = '', subZone = '' } = proxy.locality ?? {};
  const labels = proxy.metadata['LABELS'] ?? proxy.labels ?? {};
  const node = create(NodeSchema, {
    id: proxy.nodeId,
    metadata: { ...proxy.metadata, LABELS: labels, INSTANCE_IPS: proxy.ipAddresses.join(',') } as unknown as JsonObject,
    locality: { region, zone, subZone },
  });
  const parsed = parseNode(node);
  if (parsed.kind === 'invalid') throw new Error(parsed.problem.message);
  return {
    ...parsed.proxy,
    // Upstream's tests give some gateways a pod of another namespace than their metadata's, which decides in Istio.
    workload: { ...parsed.proxy.workload, namespace: parsed.proxy.namespace },
    namespace: proxy.namespace,
    dnsDomain: proxy.dnsDomain,
    labels: { ...parsed.proxy.labels, ...proxy.labels },
  };
}
