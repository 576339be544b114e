// `meltemi translate -f DIR --proxy NAME.NAMESPACE`: every resource a proxy would get, without a server.
import { Command } from 'commander';
import { hasErrors } from '../config/diagnostic.ts';
import {
  findResource,
  jsonOf,
  listResources,
  type ResourceJson,
  routeNamesOf,
  secretNamesOf,
} from '../discovery/dump.ts';
import type { Graph } from '../discovery/graph/graph.ts';
import { factsInput } from '../discovery/model/objects.ts';
import { workloads, workloadsByNamespace } from '../discovery/model/workloads.ts';
import { classOf, proxies } from '../discovery/proxy/classify.ts';
import type { Flavour, Proxy } from '../discovery/proxy/proxy.ts';
import type { ProxyClass } from '../discovery/proxy/proxy-class.ts';
import { createGraph, writeObjects } from '../discovery/world.ts';
import { readFiles } from './files.ts';
import { formatValue, formatWithFrame } from './print.ts';

interface Options {
  readonly filename: string[];
  readonly proxy: string;
  readonly type: string;
  readonly istioProxy?: boolean;
  readonly domain: string;
  readonly output: string;
  readonly only?: string[];
}

const resourceKinds = ['clusters', 'endpoints', 'listeners', 'routes', 'secrets'] as const;

/** `meltemi translate`. Exit code 1 where the proxy is unknown or the files have errors (the rest is printed all the same). */
export function translateCommand(): Command {
  return new Command('translate')
    .description('Print what a proxy would get: clusters, endpoints, listeners, routes, and names of secrets')
    .requiredOption('-f, --filename <path...>', 'files or folders')
    .requiredOption('--proxy <name.namespace>', 'a pod or WorkloadEntry of the files, or any name for a router')
    .option('--type <type>', 'sidecar, router or grpc', 'sidecar')
    .option('--istio-proxy', "with istio-proxy's own filters, as for a proxy of Istio's image")
    .option('--domain <domain>', 'DNS domain of services', 'cluster.local')
    .option('-o, --output <format>', 'yaml or json', 'yaml')
    .option('--only <kind...>', `some of ${resourceKinds.join(', ')}`)
    .action(async (options: Options) => {
      if (options.output !== 'yaml' && options.output !== 'json')
        throw new Error(`--output ${options.output}: neither yaml nor json`);
      const wanted: readonly string[] = options.only ?? resourceKinds;
      const strange = wanted.find((kind) => !(resourceKinds as readonly string[]).includes(kind));
      if (strange !== undefined) throw new Error(`--only ${strange}: one of ${resourceKinds.join(', ')}`);
      const { changes, diagnostics } = await readFiles(options.filename);
      for (const diagnostic of diagnostics) console.error(formatWithFrame(diagnostic));
      const graph = createGraph();
      graph.write(factsInput, 'facts', {
        cluster: 'Kubernetes',
        domain: options.domain,
        systemNamespace: 'istio-system',
        features: {},
      });
      writeObjects(graph, changes);
      const proxy = proxyOf(graph, options);
      graph.write(proxies, proxy.nodeId, proxy);
      const client = graph.read(classOf, proxy.nodeId);
      if (client === undefined) throw new Error(`--proxy ${options.proxy}: no class`);
      const all = await resourcesOf(graph, client);
      const shown = Object.fromEntries(Object.entries(all).filter(([kind]) => wanted.includes(kind)));
      process.stdout.write(formatValue(shown, options.output));
      process.exitCode = hasErrors(diagnostics) ? 1 : 0;
    });
}

async function resourcesOf(graph: Graph, client: ProxyClass): Promise<Readonly<Record<string, unknown>>> {
  const { registry } = await import('../protos/registry.ts');
  const list = (type: 'cluster' | 'endpoint' | 'listener'): ResourceJson[] =>
    listResources(graph, client, type).map((r) => jsonOf(r, registry));
  const clusters = list('cluster');
  const listeners = list('listener');
  const routes = routeNamesOf(listeners).flatMap((name) => {
    const resource = findResource(graph, client, 'route', name);
    return resource === undefined ? [] : [jsonOf(resource, registry)];
  });
  return {
    clusters,
    endpoints: list('endpoint'),
    listeners,
    routes,
    secrets: secretNamesOf([...clusters, ...listeners]),
  };
}

function proxyOf(graph: Graph, options: Options): Proxy {
  const dot = options.proxy.lastIndexOf('.');
  if (dot <= 0) throw new Error(`--proxy ${options.proxy}: want NAME.NAMESPACE`);
  const name = options.proxy.slice(0, dot);
  const namespace = options.proxy.slice(dot + 1);
  const flavour = flavourOf(options.type);
  const found = graph
    .read(workloadsByNamespace, namespace)
    .map((key) => graph.read(workloads, key))
    .find((workload) => workload?.name === name || workload?.name.startsWith(`${name}-`));
  if (found === undefined && flavour !== 'gateway')
    throw new Error(`--proxy ${options.proxy}: no Pod or WorkloadEntry ${namespace}/${name} in the files`);
  const address = found?.addresses[0] ?? '127.0.0.1';
  const istio = options.istioProxy === true;
  return {
    nodeId: `${options.type}~${address}~${found?.name ?? name}.${namespace}~${namespace}.svc.${options.domain}`,
    flavour,
    ipAddresses: found?.addresses ?? [address],
    workload: { name: found?.name ?? name, namespace },
    namespace,
    dnsDomain: `${namespace}.svc.${options.domain}`,
    labels: found?.labels ?? {},
    serviceAccount: '',
    cluster: 'Kubernetes',
    network: '',
    nodeName: found?.nodeName ?? '',
    locality: found?.locality ?? { region: '', zone: '', subzone: '' },
    interception: 'REDIRECT',
    capabilities: { istioFilters: istio, agentSds: istio, internalListeners: true },
    settings: {},
  };
}

function flavourOf(type: string): Flavour {
  if (type === 'sidecar' || type === 'grpc') return type;
  if (type === 'router') return 'gateway';
  throw new Error(`--type ${type}: one of sidecar, router, grpc`);
}
