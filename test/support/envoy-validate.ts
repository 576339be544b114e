// Asks a real Envoy whether it would accept resources, with `--mode validate`: about 50 ms for each set.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureEnvoy } from '../../cmd/envoy-install.ts';
import { run } from './child.ts';
import type { Json } from './envoy.ts';

/** What one proxy would get, as protobuf JSON without the enclosing Any (`@type` at the top is dropped). */
export interface ResourceSet {
  readonly listeners?: readonly Json[];
  readonly clusters?: readonly Json[];
  readonly routes?: readonly Json[];
  /** ClusterLoadAssignments. */
  readonly endpoints?: readonly Json[];
  readonly secrets?: readonly Json[];
}

/** Envoy's message where it rejects the bootstrap; `undefined` where it accepts it. */
export async function validateBootstrap(bootstrap: Json): Promise<string | undefined> {
  const envoy = await ensureEnvoy();
  const folder = await mkdtemp(join(tmpdir(), 'envoy-validate-'));
  try {
    const file = join(folder, 'bootstrap.json');
    await writeFile(file, JSON.stringify(bootstrap));
    const { code, stderr, stdout } = await run(envoy, ['--mode', 'validate', '-c', file, '--log-level', 'critical']);
    if (code === 0) return undefined;
    return `${stderr}${stdout}`.replaceAll(file, 'bootstrap').trim() || `envoy ended with ${code}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Envoy's message where it rejects one of the resources; `undefined` where it accepts all. Checks every kind: routes in
 * the place of the RDS reference that names them (or in a listener of their own), assignments as static clusters.
 */
export function validateResources(resources: ResourceSet): Promise<string | undefined> {
  return validateBootstrap(bootstrapOf(resources));
}

/** `validateResources` for many sets, two at a time; the rejections by name. */
export async function validateAll(sets: ReadonlyMap<string, ResourceSet>): Promise<ReadonlyMap<string, string>> {
  const rejections = new Map<string, string>();
  const left = sets.entries();
  const worker = async (): Promise<void> => {
    for (const [name, resources] of left) {
      const message = await validateResources(resources);
      if (message !== undefined) rejections.set(name, message);
    }
  };
  await Promise.all([worker(), worker()]);
  return rejections;
}

const xdsCluster = 'validate-xds';

/** A static bootstrap that makes Envoy check every one of the resources. */
export function bootstrapOf(resources: ResourceSet): Json {
  const routes = new Map((resources.routes ?? []).map((route) => [String(route['name'] ?? ''), withoutType(route)]));
  const used = new Set<string>();
  const listeners = (resources.listeners ?? []).map((listener) => inlineRoutes(withoutType(listener), routes, used));
  const unused = [...routes].filter(([name]) => !used.has(name)).map(([, route]) => route);
  const secrets = (resources.secrets ?? []).map(withoutType);
  return {
    node: { id: 'validate', cluster: 'validate' },
    dynamicResources: {
      adsConfig: {
        apiType: 'GRPC',
        transportApiVersion: 'V3',
        grpcServices: [{ envoyGrpc: { clusterName: xdsCluster } }],
      },
    },
    staticResources: {
      listeners: [...separated(listeners), ...unused.map(listenerOfRoute)],
      clusters: [
        { name: xdsCluster, type: 'STATIC', loadAssignment: { clusterName: xdsCluster } },
        ...(resources.clusters ?? []).map(withoutType),
        ...(resources.endpoints ?? []).map((assignment, i) => clusterOfAssignment(withoutType(assignment), i)),
      ],
      ...(secrets.length === 0 ? {} : { secrets }),
    },
  };
}

function withoutType(resource: Json): Json {
  const { '@type': _, ...rest } = resource;
  return rest;
}

/** The value with each connection manager's RDS reference to a known route replaced by that route. */
function inlineRoutes(value: Json, routes: ReadonlyMap<string, Json>, used: Set<string>): Json {
  const out: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    const name = key === 'rds' && isObject(field) ? routeName(field) : undefined;
    const route = name === undefined ? undefined : routes.get(name);
    if (name !== undefined && route !== undefined) {
      used.add(name);
      out['routeConfig'] = withUncheckedClusters(route);
    } else out[key] = inlineIn(field, routes, used);
  }
  return out;
}

function inlineIn(field: unknown, routes: ReadonlyMap<string, Json>, used: Set<string>): unknown {
  if (Array.isArray(field)) return field.map((item) => inlineIn(item, routes, used));
  return isObject(field) ? inlineRoutes(field, routes, used) : field;
}

function routeName(rds: Json): string | undefined {
  const name = rds['routeConfigName'] ?? rds['route_config_name'];
  return typeof name === 'string' ? name : undefined;
}

/** Over RDS Envoy does not check that a route's clusters exist; in a static configuration it does unless told. */
function withUncheckedClusters(route: Json): Json {
  return { validateClusters: false, ...route };
}

/** Validation binds nothing, but refuses two listeners of one address, which a proxy gets where it was told not to bind. */
function separated(listeners: readonly Json[]): readonly Json[] {
  return listeners.map((listener, i) => ({
    ...listener,
    address: { socketAddress: { address: '127.77.0.1', portValue: 1024 + i } },
    additionalAddresses: undefined,
    additional_addresses: undefined,
  }));
}

function listenerOfRoute(route: Json, i: number): Json {
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    statPrefix: 'route',
    routeConfig: withUncheckedClusters(route),
    httpFilters: [
      {
        name: 'envoy.filters.http.router',
        typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
  };
  return {
    name: `validate-route-${i}`,
    address: { socketAddress: { address: '127.77.0.2', portValue: 1024 + i } },
    filterChains: [{ filters: [{ name: 'envoy.filters.network.http_connection_manager', typedConfig: manager }] }],
  };
}

function clusterOfAssignment(assignment: Json, i: number): Json {
  return { name: `validate-assignment-${i}`, type: 'STATIC', connectTimeout: '1s', loadAssignment: assignment };
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
