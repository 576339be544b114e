// `meltemi discovery` on Kubernetes: a control plane fed by an API server, its webhooks, and what it writes there.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { startKubeSource } from '../config/sources/kube.ts';
import { type KubeApi, openKubeApi } from '../config/sources/kube-api.ts';
import { inClusterAccess, type KubeAccess, kubeconfigAccess } from '../config/sources/kube-config.ts';
import type { CheckObject } from '../config/sources/source.ts';
import { mesh } from '../discovery/model/objects.ts';
import { kubeCounters } from './cluster-metrics.ts';
import { type ComposeOptions, type ControlPlane, compose } from './compose.ts';
import { logFindings } from './finding-log.ts';
import { unfollowedKinds } from './kube/followed-kinds.ts';
import { keepIngressStatus } from './kube/keep-ingress-status.ts';
import { keepEntryAddresses, keepObjectStatus, statusWriteCounter } from './kube/keep-status.ts';
import { keepTrust } from './kube/keep-trust.ts';
import { replicaName, replicasLease, rotationLease } from './kube/names.ts';
import { replicaBoard } from './kube/replica-board.ts';
import { endingTogether, whileLeading } from './kube/while-leading.ts';
import { kubernetesIdentity } from './kubernetes-identity.ts';
import type { Logger } from './log.ts';
import { checkBy, openMeshFiles } from './mesh-files.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { openPages } from './pages.ts';
import { planeWebhooks, wholeReadiness } from './plane-webhooks.ts';
import { rest } from './rest.ts';
import type { Settings } from './settings.ts';
import { untilSignal } from './signals.ts';
import { logSources } from './source-log.ts';
import { whileStarting } from './starting.ts';
import { version } from './version.ts';
import { keepWebhooksRegistered } from './webhook-registration.ts';

/** Milliseconds that the API server has for what is asked of it at the end: proxies are not to wait for it. */
const lastRequestsMs = 3_000;

/** Serves until SIGINT or SIGTERM. Rejects where there is no way to an API server, or a port is taken. */
export async function serveKubernetes(settings: Settings, log: Logger): Promise<void> {
  const stopping = new AbortController();
  const signal = untilSignal().then((name) => {
    log.info({ signal: name }, 'stopping');
    stopping.abort();
  });
  using api = openKubeApi(await accessOf(settings, process.env));
  stopping.signal.addEventListener('abort', () => setTimeout(() => api[Symbol.dispose](), lastRequestsMs).unref());
  log.info({ server: api.origin, ...settings }, 'starting');
  const holder = replicaName(process.env['POD_NAME'], hostname(), randomUUID());
  const { leaseMs, leaderElection: elect, systemNamespace: namespace } = settings;
  const leading = { api, namespace, holder, leaseMs, elect, log };
  let leadsRotation = false;
  const group = {
    name: holder,
    board: replicaBoard(api, namespace, replicasLease),
    leads: () => leadsRotation,
    leaseMs,
  };
  const metrics = createMetrics(version());
  const counters = kubeCounters(metrics.registry);
  const opened = await whileStarting(settings, metrics, (start) =>
    untilAnswered(
      stopping.signal,
      () => openPlane(api, settings, log, metrics, group),
      (error) => {
        counters.failed();
        // Once for each reason: what lasts is at /ready.
        if (start.reason !== error) log.error({ error }, 'the API server is not usable yet');
        start.reason = error;
      },
    ),
  );
  if (opened === undefined) return;
  await using plane = opened;
  await using _rotation = whileLeading({ ...leading, lease: rotationLease }, (leads) => {
    leadsRotation = leads;
  });
  let waitsFor = 'its ports';
  await using webhooks = planeWebhooks(plane, log);
  await using _pages = await openPages(plane, webhooks, () => wholeReadiness(plane, webhooks, waitsFor));
  using _findings = logFindings(plane.store, log);
  using _sources = logSources(plane.store, log, Date.now);
  await using mesh = await openMeshFiles(plane, log);
  // Objects of a cluster must not be lost for a field that a newer definition let in.
  const check: CheckObject = checkBy(settings, 'warning');
  await using _source = startKubeSource(
    { api, check, without: unfollowedKinds, sleep: rest, random: Math.random, now: Date.now, ...counters },
    mesh.besides(plane.store.sinkOf('kubernetes')),
  );
  if (!(await untilSynced(plane, stopping.signal))) return;
  await webhooks.open();
  const statusWrites = statusWriteCounter(plane.metrics.registry);
  await using _writing = endingTogether(
    registerWebhooks(plane, api, log),
    keepTrust(plane, leading),
    keepIngressStatus(plane, leading),
    keepObjectStatus(plane, leading, check, statusWrites),
    keepEntryAddresses(plane, leading, statusWrites),
  );
  // Before it has proxies: a rotation of the root shall wait for them.
  waitsFor = `its place on the Lease ${replicasLease}`;
  if (!(await untilJoined(plane, stopping.signal))) return;
  waitsFor = 'its ports';
  await plane.listen();
  waitsFor = '';
  log.info({ milliseconds: Math.round(performance.now()) }, 'serving');
  await signal;
}

async function accessOf({ kubeconfig }: Settings, env: NodeJS.ProcessEnv): Promise<KubeAccess> {
  if (kubeconfig !== undefined) return kubeconfigAccess(kubeconfig, { env });
  return inClusterAccess(env).catch((error: Error) => {
    throw new Error(`there is no --kubeconfig and no --configDir, and ${error.message}`);
  });
}

/** Repeats until it succeeds or is stopped: an API server that is away for a while is no reason to end. */
async function untilAnswered<T>(
  signal: AbortSignal,
  open: () => Promise<T>,
  failed: (error: string) => void,
): Promise<T | undefined> {
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      return await open();
    } catch (error) {
      failed(error instanceof Error ? error.message : String(error));
      await rest(Math.min(200 * 2 ** failures, 5_000), signal);
    }
  }
  return undefined;
}

async function openPlane(
  api: KubeApi,
  settings: Settings,
  log: Logger,
  metrics: Metrics,
  group: NonNullable<ComposeOptions['group']>,
): Promise<ControlPlane> {
  let trustDomain = (): string => 'cluster.local';
  const identity = await kubernetesIdentity(api, settings, () => trustDomain(), Date.now);
  const { caStore, authenticators, pods } = identity;
  const plane = await compose({ settings, log, version: version(), metrics, caStore, authenticators, pods, group });
  trustDomain = () => plane.graph.read(mesh, 'mesh').trustDomain ?? 'cluster.local';
  identity.follow(plane.store);
  return plane;
}
/** Resolves with true once everything was read and the first configuration is there, with false when stopped before. */
async function untilSynced(plane: ControlPlane, signal: AbortSignal): Promise<boolean> {
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (plane.store.synced || signal.aborted) resolve();
    };
    plane.store.onStatus(look);
    signal.addEventListener('abort', look, { once: true });
    look();
  });
  if (signal.aborted) return false;
  await plane.xds.publisher.idle();
  return true;
}

/** Resolves with true once the other replicas know of this one, with false when stopped before. */
async function untilJoined(plane: ControlPlane, signal: AbortSignal): Promise<boolean> {
  await new Promise<void>((resolve) => {
    void plane.joined.then(resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
  return !signal.aborted;
}

function registerWebhooks(plane: ControlPlane, api: KubeApi, log: Logger): AsyncDisposable {
  const { settings, identity, metrics } = plane;
  return keepWebhooksRegistered({
    api,
    revision: settings.revision,
    systemNamespace: settings.systemNamespace,
    roots: identity.roots,
    kinds: {
      MutatingWebhookConfiguration: settings.injectionWebhook !== '',
      ValidatingWebhookConfiguration: settings.validationWebhook !== '',
    },
    registry: metrics.registry,
    log,
  });
}
