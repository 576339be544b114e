// Where the parts meet: sources feed the store, the store feeds the graph, the xDS server publishes it, identity guards it.

import { join } from 'node:path';
import type { CaStore } from '../certs/ca-record.ts';
import type { Authenticator } from '../certs/caller.ts';
import { systemEnvironment } from '../certs/environment.ts';
import type { PodDirectory } from '../certs/impersonation.ts';
import type { MeshConfig } from '../config/mesh.ts';
import { formatRef } from '../config/object.ts';
import type { Surroundings } from '../config/relations/view.ts';
import { Store } from '../config/store.ts';
import type { Debug } from '../discovery/debug/pages.ts';
import type { CellRef, Graph } from '../discovery/graph/graph.ts';
import { credentialClock } from '../discovery/model/credential-clock.ts';
import { factsInput, mesh } from '../discovery/model/objects.ts';
import { classOf, proxies } from '../discovery/proxy/classify.ts';
import { translators } from '../discovery/translate/table.ts';
import { createGraph, writeObjects } from '../discovery/world.ts';
import { createXdsServer, type Listening, type XdsServer, type XdsServerOptions } from '../discovery/xds/server.ts';
import { authenticateStreams } from './caller.ts';
import { addClusterMetrics } from './cluster-metrics.ts';
import { addConflictMetrics } from './conflict-metrics.ts';
import { debugOf } from './debug.ts';
import { followAuthority } from './follow-authority.ts';
import { followObjects } from './follow-objects.ts';
import type { Readiness } from './http.ts';
import { openIdentity, type Signing, type WorkloadIdentity } from './identity.ts';
import type { Logger } from './log.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { ownSecrets } from './own-secrets.ts';
import { readinessOf } from './readiness.ts';
import { countRejected } from './rejected-configs.ts';
import { keepRelations } from './relations.ts';
import { type DrivenRotation, driveRotation, type ReplicaGroup } from './rotation.ts';
import type { Settings } from './settings.ts';

/** Milliseconds between two looks at a rotation of the root in file mode. */
const rotationInterval = 2_000;

/**
 * Milliseconds that a step of a rotation lasts at least, unless told otherwise: in a cluster, ConfigMaps have to reach
 * pods, and proxies of a replica that went have to come back to another.
 */
const leastStep = { folder: 2_000, cluster: 300_000 } as const;

/** Milliseconds between two looks at the clock for certificates of Secrets. */
const clockInterval = 60_000;

/** What composing needs besides settings. */
export interface ComposeOptions {
  readonly settings: Settings;
  readonly log: Logger;
  readonly version: string;
  /** Those that counted before there was a control plane. */
  readonly metrics?: Metrics;
  /** Kubernetes' ways: where the CA is kept, and how tokens are checked. */
  readonly caStore?: CaStore;
  readonly authenticators?: readonly Authenticator[];
  readonly pods?: PodDirectory;
  /** The replicas of which this is one. */
  readonly group?: Omit<ReplicaGroup, 'hasPod'>;
}

/** A control plane, put together but not yet listening. Feed it through `store`. */
export interface ControlPlane extends AsyncDisposable {
  readonly settings: Settings;
  readonly store: Store;
  readonly graph: Graph;
  readonly xds: XdsServer;
  readonly identity: WorkloadIdentity;
  readonly metrics: Metrics;
  readonly debug: Debug;
  /** Opens the gRPC ports; resolves with those that are open. */
  readonly listen: () => Promise<{ readonly plain?: Listening; readonly secure?: Listening }>;
  /** Resolves once the other replicas know of this one, so that a rotation of the root waits for its proxies. */
  readonly joined: Promise<void>;
  /** Whether proxies may be served, and why not. */
  readonly readiness: () => Readiness;
  /** What objects are judged among, as it is now. */
  readonly surroundings: () => Surroundings;
}

/** Puts the control plane together. Throws where the certificate authority cannot be opened. */
export async function compose(options: ComposeOptions): Promise<ControlPlane> {
  const { settings, log } = options;
  const store = new Store();
  const graph = createGraph();
  const metrics = options.metrics ?? createMetrics(options.version);
  graph.write(credentialClock, 'now', Date.now());
  graph.write(factsInput, 'facts', {
    cluster: settings.clusterId,
    domain: settings.domain,
    systemNamespace: settings.systemNamespace,
    revision: settings.revision,
    ...(settings.sharedMeshConfig === undefined ? {} : { sharedMeshConfig: settings.sharedMeshConfig }),
    features: settings.features,
  });
  // Asked for with every certificate, where perhaps no proxy makes the graph keep it.
  graph.hold(mesh, 'mesh');
  const meshNow = (): MeshConfig => graph.read(mesh, 'mesh');
  const identity = await openIdentity({
    settings,
    discoveryAddress: () => meshNow().defaultConfig.discoveryAddress,
    trustDomains: () => [meshNow().trustDomain ?? 'cluster.local', ...(meshNow().trustDomainAliases ?? [])],
    count: metrics.citadel,
    callBegan: (path) => metrics.grpc(path, 'unary'),
    log: (level, message, fields) => log[level](fields, message),
    env: systemEnvironment,
    ...(options.caStore === undefined ? {} : { store: options.caStore }),
    ...(options.authenticators === undefined ? {} : { more: options.authenticators }),
    ...(options.pods === undefined ? {} : { pods: options.pods }),
  });
  store.onFindings(countRejected(metrics.registry));
  const readiness = () => readinessOf(store);
  const debug = debugOf({ settings, version: options.version, store, graph, identity, publisher: () => xds.publisher });
  const xds: XdsServer = createXdsServer({
    graph,
    translators,
    proxies,
    classOf,
    authenticate: authenticateStreams(settings, identity.authenticate),
    ready: warmedUp(settings, () => readiness().ready),
    metrics: metrics.xds,
    log: ({ level, message, fields }) => log[level](fields, message),
    ...(identity.signing === undefined
      ? {}
      : {
          openOwnResources: ownSecrets(identity.signing.secrets, (proxy, reason) =>
            log.warn({ proxy, reason }, 'no workload certificate'),
          ),
        }),
    answerDebug: debug.answer,
    describeInputs: (inputs) => describeInputs(store, inputs),
    ...limitsOf(settings),
  });
  if (identity.signing !== undefined) followAuthority(identity.signing.authority, metrics, store);
  const streams = () => xds.publisher.streams;
  addClusterMetrics({ registry: metrics.registry, store, graph, streams, now: Date.now });
  addConflictMetrics({ registry: metrics.registry, store, graph, streams, domain: settings.domain });
  const rotation =
    identity.signing === undefined ? undefined : drive({ ...options, store, identity, signing: identity.signing, xds });
  if (rotation !== undefined) {
    metrics.gauge(
      'meltemi_root_rotation_laggards',
      'Proxies here that a rotation of the root waits for.',
      rotation.laggards,
    );
  }
  const telling = setInterval(tellTime, clockInterval, xds);
  telling.unref();
  followObjects(store, (changes) => {
    xds.publisher
      .apply((target) => writeObjects(target, changes))
      .then(identity.namesMayHaveChanged)
      .catch((error: unknown) => log.error({ error: String(error) }, 'publishing failed'));
  });
  const relations = keepRelations(store, graph, () => xds.publisher.idle());
  return {
    settings,
    store,
    graph,
    xds,
    identity,
    metrics,
    debug,
    joined: rotation?.joined ?? Promise.resolve(),
    readiness,
    surroundings: relations.surroundings,
    listen: () => listenAll(settings, xds, identity, log),
    async [Symbol.asyncDispose]() {
      clearInterval(telling);
      await rotation?.[Symbol.asyncDispose]();
      await relations[Symbol.asyncDispose]();
      await xds.close(settings.shutdownMs);
      await identity[Symbol.asyncDispose]();
    },
  };
}

function drive({
  settings,
  log,
  group,
  store,
  identity,
  signing: { authority, secrets },
  xds,
}: Pick<ComposeOptions, 'settings' | 'log' | 'group'> & {
  readonly store: Store;
  readonly identity: WorkloadIdentity;
  readonly signing: Signing;
  readonly xds: XdsServer;
}): DrivenRotation {
  // A replica that cannot reach the API server, and serves on, is silent; only its Pod tells.
  const hasPod = (name: string): boolean => {
    const pod = store.get('Pod', `${settings.systemNamespace}/${name}`);
    return !store.synced || (pod !== undefined && !['Succeeded', 'Failed'].includes(pod.status?.phase ?? ''));
  };
  const inFolder = settings.configDir !== undefined;
  return driveRotation({
    ...{ authority, store: identity.store, secrets, ledger: identity.ledger },
    streams: () => xds.publisher.streams,
    ...(inFolder ? { caDir: join(settings.stateDir, 'ca') } : {}),
    interval: rotationInterval,
    minimumStep: settings.rotationStepMs ?? (inFolder ? leastStep.folder : leastStep.cluster),
    ...(group === undefined ? {} : { group: { ...group, hasPod } }),
    log: (level, message, fields) => log[level](fields, message),
    env: systemEnvironment,
  });
}

/** What operators may set of the server's limits. */
function limitsOf(settings: Settings): Pick<XdsServerOptions, 'server' | 'admission'> {
  const { maxConnectionAgeMs, keepaliveMs, keepaliveTimeoutMs, maxRequestBytes, maxStreams, maxStreamRate } = settings;
  return {
    server: { maxConnectionAgeMs, keepaliveMs, keepaliveTimeoutMs, maxRequestBytes, maxStreams },
    ...(maxStreamRate === 0
      ? {}
      : {
          admission: { maxRate: maxStreamRate, minRate: Math.min(maxStreamRate, 100), burst: Math.ceil(maxStreamRate) },
        }),
  };
}

/** Knative counts the first stream as the warm-up, during which there is no second: it has to end (K_REVISION). */
function warmedUp({ coldStart }: Settings, ready: () => boolean): () => boolean {
  let warm = coldStart === '';
  return () => {
    if (warm || !ready()) return warm && ready();
    warm = true;
    return false;
  };
}

/** Certificates of Secrets that have ended meanwhile are no longer served. */
function tellTime({ publisher }: XdsServer): void {
  void publisher.apply((target) => target.write(credentialClock, 'now', Date.now())).catch(() => undefined);
}

async function listenAll(
  settings: Settings,
  xds: XdsServer,
  { tls, signing }: WorkloadIdentity,
  log: Logger,
): Promise<{ plain?: Listening; secure?: Listening }> {
  const open = async (flag: string, start: () => Promise<Listening>): Promise<Listening> => {
    try {
      return await start();
    } catch (error) {
      throw new Error(`${flag}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const { grpcAddr, secureGrpcAddr } = settings;
  const plain =
    grpcAddr === '' ? undefined : await open(`--grpcAddr ${grpcAddr}`, () => xds.listen({ address: grpcAddr }));
  if (secureGrpcAddr !== '' && tls === undefined)
    log.warn(
      '--secureGRPCAddr stays closed: nobody makes a certificate for it (PILOT_CERT_PROVIDER, ENABLE_CA_SERVER)',
    );
  const services = signing === undefined ? [] : [signing.certificateService];
  const secure =
    secureGrpcAddr === '' || tls === undefined
      ? undefined
      : await open(`--secureGRPCAddr ${secureGrpcAddr}`, () => xds.listen({ address: secureGrpcAddr, tls, services }));
  return { ...(plain === undefined ? {} : { plain }), ...(secure === undefined ? {} : { secure }) };
}

/** Objects behind a resource as people name them, with the file and line where there is one. */
function describeInputs(store: Store, inputs: readonly CellRef[]): readonly string[] {
  return inputs.flatMap(({ node, id }) => {
    const slash = id.indexOf('/');
    const origin = store.originOf(node, id);
    if (origin === undefined && slash < 0) return [];
    const named = formatRef({ kind: node, namespace: id.slice(0, Math.max(slash, 0)), name: id.slice(slash + 1) });
    return [origin === undefined ? named : `${named} (${origin.file}:${origin.line})`];
  });
}
