// Runs the suite `xds`: the resources of each case's proxy against those of Istio, level by level.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { create } from '@bufbuild/protobuf';
import type { MeshConfig } from '../../config/mesh.ts';
import { findResource, listResources, type ResourceJson, routeNamesOf } from '../../discovery/dump.ts';
import { parseNode } from '../../discovery/proxy/node.ts';
import type { Proxy } from '../../discovery/proxy/proxy.ts';
import { NodeSchema } from '../../protos/gen/envoy/config/core/v3/base_pb.ts';
import { connect, graphOf, jsonOf, testFacts } from '../support/world.ts';
import type { Outcome } from './runner.ts';
import { type Case, type CaseInput, type CaseProxy, meshOf, objectsOf, readCases, skipReason } from './suite.ts';
import { compareResources, type Difference, levels, type ResourceSet } from './xds-compare.ts';

interface XdsCase extends Case {
  readonly xds: Readonly<Record<string, readonly string[]>>;
}

/** Judges every case of the folder; a case passes when all names are equal. `show` prints all differences of the cases whose name holds it. */
export async function run(folder: string, out: (line: string) => void, show = ''): Promise<Outcome> {
  if (!existsSync(join(folder, '_pool'))) throw new Error(`${folder} is not the xds suite: it has no _pool folder`);
  const pool = readPool(folder);
  const skipped = new Map<string, number>();
  const reached = new Map<string, number>(levels.map((level) => [level, 0]));
  const own = new Map<string, number>(levels.map((level) => [level, 0]));
  const failing: string[] = [];
  let judged = 0;
  for (const c of readCases<XdsCase>(folder)) {
    const reason = skipReason(c);
    if (reason !== undefined) {
      skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
      continue;
    }
    judged++;
    const differences = judge(folder, c, pool);
    if (show !== '' && c.name.includes(show)) for (const d of differences) out(`  ${c.name} [${d.level}] ${d.what}`);
    let clean = true;
    for (const level of levels) {
      const equal = !differences.some((d) => d.level === level);
      if (equal) own.set(level, (own.get(level) ?? 0) + 1);
      clean &&= equal;
      if (clean) reached.set(level, (reached.get(level) ?? 0) + 1);
    }
    const first = differences.find((d) => d.level === 'names');
    if (first !== undefined) failing.push(`${c.name}: ${first.what}`);
  }
  for (const line of failing) out(`FAIL ${line}`);
  for (const [reason, count] of [...skipped].sort(([, a], [, b]) => b - a)) out(`skipped ${count}: ${reason}`);
  out('level            equal   equal up to here');
  for (const level of levels)
    out(`${level.padEnd(15)} ${share(own.get(level), judged)} ${share(reached.get(level), judged)}`);
  const total = [...skipped.values()].reduce((a, b) => a + b, 0);
  return { passed: judged - failing.length, failed: failing.length, skipped: total };
}

/** The resources of a case's proxy, as Meltemi gives them. */
export function resourcesOf(folder: string, input: CaseInput, proxy: CaseProxy): ResourceSet {
  const graph = graphOf(objectsOf(input), meshOf(folder, input) as unknown as MeshConfig, {
    ...testFacts,
    cluster: input.clusterID ?? 'Kubernetes',
    // The oracle's objects had no domain, so short names in rules became `name.namespace`.
    ruleDomain: '',
    features: input.env ?? {},
  });
  const client = connect(graph, proxyOf(proxy));
  const clusters = listResources(graph, client, 'cluster').map(jsonOf);
  const listeners = listResources(graph, client, 'listener').map(jsonOf);
  const find = (type: 'route' | 'endpoint', names: readonly string[]): ResourceJson[] =>
    names.flatMap((name) => {
      const resource = findResource(graph, client, type, name);
      return resource === undefined ? [] : [jsonOf(resource)];
    });
  const edsNames = clusters.flatMap((cluster) => (cluster['type'] === 'EDS' ? [serviceNameOf(cluster)] : []));
  return { clusters, listeners, routes: find('route', routeNamesOf(listeners)), endpoints: find('endpoint', edsNames) };
}

/** A case's proxy as its Node message makes it, with the namespace that the case says decides. */
export function proxyOf(proxy: CaseProxy): Proxy {
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

function judge(folder: string, c: XdsCase, pool: Pool): readonly Difference[] {
  const wanted = (type: keyof ResourceSet): readonly ResourceJson[] =>
    (c.xds[type] ?? []).map((hash) => {
      const resource = pool[type].get(hash);
      if (resource === undefined) throw new Error(`${c.name}: the pool of ${type} lacks ${hash}`);
      return resource;
    });
  const want: ResourceSet = {
    clusters: wanted('clusters'),
    listeners: wanted('listeners'),
    routes: wanted('routes'),
    endpoints: wanted('endpoints'),
  };
  try {
    return compareResources(want, resourcesOf(folder, c.input, c.proxy));
  } catch (error) {
    const what = `threw ${error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 3).join(' ') : String(error)}`;
    return levels.map((level) => ({ level, what }));
  }
}

type Pool = Readonly<Record<keyof ResourceSet, ReadonlyMap<string, ResourceJson>>>;

function readPool(folder: string): Pool {
  const read = (type: string): ReadonlyMap<string, ResourceJson> =>
    new Map(
      readFileSync(join(folder, '_pool', `${type}.jsonl`), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => {
          const entry = JSON.parse(line) as { hash: string; resource: ResourceJson };
          return [entry.hash, entry.resource];
        }),
    );
  return {
    clusters: read('clusters'),
    listeners: read('listeners'),
    routes: read('routes'),
    endpoints: read('endpoints'),
  };
}

function serviceNameOf(cluster: ResourceJson): string {
  const config = cluster['edsClusterConfig'] as { serviceName?: string } | undefined;
  return config?.serviceName ?? String(cluster['name']);
}

function share(count: number | undefined, of: number): string {
  return `${String(count ?? 0).padStart(5)}/${of} ${((100 * (count ?? 0)) / Math.max(of, 1)).toFixed(1).padStart(5)} %`;
}
