// `meltemi discovery` on Kubernetes: a control plane fed by an API server, its webhooks, and what it writes there.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { startKubeSource } from '../config/sources/kube.ts';
import { type KubeApi, openKubeApi } from '../config/sources/kube-api.ts';
import { inClusterAccess, kubeconfigAccess } from '../config/sources/kube-config.ts';
import { validate } from '../config/validate.ts';
import { selectorMatches } from '../discovery/model/discovered.ts';
import { isServed } from '../discovery/model/ingress.ts';
import { ingressPoints } from '../discovery/model/ingress-points.ts';
import { mesh } from '../discovery/model/objects.ts';
import { type ControlPlane, compose } from './compose.ts';
import { openHttp } from './http.ts';
import { standForElection } from './kube/election.ts';
import { reportFindings } from './kube/findings-log.ts';
import { IngressStatus } from './kube/ingress-status.ts';
import { ingressLease, rootsLease } from './kube/names.ts';
import { RootCertificates } from './kube/root-certificates.ts';
import { kubernetesIdentity } from './kubernetes-identity.ts';
import type { Logger } from './log.ts';
import { pagesOf } from './pages.ts';
import { openPlaneWebhooks, wholeReadiness } from './plane-webhooks.ts';
import type { Settings } from './settings.ts';
import { untilSignal } from './signals.ts';
import { version } from './version.ts';
import { keepWebhooksRegistered } from './webhook-registration.ts';
import type { Webhooks } from './webhooks.ts';

/** Milliseconds for which a leader that is not heard of stays one. */
const leaseMs = 30_000;

/** Serves until SIGINT or SIGTERM. Rejects where there is no way to an API server, or a port is taken. */
export async function serveKubernetes(settings: Settings, log: Logger): Promise<void> {
  const stopping = new AbortController();
  const signal = untilSignal().then((name) => {
    log.info({ signal: name }, 'stopping');
    stopping.abort();
  });
  const access =
    settings.kubeconfig === undefined
      ? await inClusterAccess(process.env)
      : await kubeconfigAccess(settings.kubeconfig);
  using api = openKubeApi(access);
  log.info({ server: api.origin, ...settings }, 'starting');
  const opened = await untilAnswered(stopping.signal, log, async () => openPlane(api, settings, log));
  if (opened === undefined) return;
  await using plane = opened;
  let waitsFor = 'its ports';
  let webhooks: Webhooks | undefined;
  const readiness = () => {
    const state = wholeReadiness(plane, webhooks);
    return state.ready && waitsFor !== '' ? { ready: false, reason: `waiting for ${waitsFor}` } : state;
  };
  const pages = { ...pagesOf(plane), ready: readiness };
  await using _http = await openHttp('--httpAddr', settings.httpAddr, pages);
  await using _monitoring = await openHttp('--monitoringAddr', settings.monitoringAddr, pages);
  await using _findings = reportFindings(plane.store, log);
  await using _source = startKubeSource(
    { api, check: (raw) => validate(raw, { unknown: 'warning' }), sleep: rest, random: Math.random, now: Date.now },
    plane.store.sinkOf('kubernetes'),
  );
  if (!(await untilSynced(plane, stopping.signal))) return;
  webhooks = await openPlaneWebhooks(plane, plane.store.sinkOf('injector'), log, process.env);
  await using _webhooks = webhooks;
  await using _registration = settings.httpsAddr === '' ? undefined : registerWebhooks(plane, api, log);
  await using _roots = keepRoots(plane, api, log);
  await using _ingresses = keepIngressStatus(plane, api, log);
  await plane.listen();
  waitsFor = '';
  log.info({ milliseconds: Math.round(performance.now()) }, 'serving');
  await signal;
}

/** Repeats until it succeeds or is stopped: an API server that is away for a while is no reason to end. */
async function untilAnswered<T>(signal: AbortSignal, log: Logger, open: () => Promise<T>): Promise<T | undefined> {
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      return await open();
    } catch (error) {
      log.error({ error: error instanceof Error ? error.message : String(error) }, 'the API server is not usable yet');
      await rest(Math.min(200 * 2 ** failures, 5_000), signal);
    }
  }
  return undefined;
}

async function openPlane(api: KubeApi, settings: Settings, log: Logger): Promise<ControlPlane> {
  let trustDomain = (): string => 'cluster.local';
  const identity = await kubernetesIdentity(api, settings, () => trustDomain(), Date.now);
  const { caStore, authenticators, pods } = identity;
  const plane = await compose({ settings, log, version: version(), caStore, authenticators, pods });
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

function registerWebhooks(plane: ControlPlane, api: KubeApi, log: Logger): AsyncDisposable {
  const { settings, identity, metrics } = plane;
  return keepWebhooksRegistered({
    api,
    revision: settings.revision,
    systemNamespace: settings.systemNamespace,
    roots: {
      current: () => identity.authority.state.bundle.pem,
      onChange: (listener) => identity.authority.subscribe(() => listener()),
    },
    registry: metrics.registry,
    log,
  });
}

/** The roots in every namespace, changed by the leader of the replicas only. */
function keepRoots(plane: ControlPlane, api: KubeApi, log: Logger): AsyncDisposable {
  const { settings, store, identity, graph, xds } = plane;
  const warn = (message: string): void => log.warn(message);
  const roots = new RootCertificates({
    api,
    store,
    roots: () => identity.authority.state.bundle.pem,
    isDiscovered: (namespace) => {
      const { discoverySelectors: selectors = [] } = graph.read(mesh, 'mesh');
      const implied = { 'kubernetes.io/metadata.name': namespace };
      const labels = { ...implied, ...store.get('Namespace', `/${namespace}`)?.metadata.labels };
      return selectors.length === 0 || selectors.some((selector) => selectorMatches(selector, labels));
    },
    sleep: rest,
    log: warn,
  });
  const stop = new AbortController();
  const election = stand(plane, api, log, rootsLease(settings.revision), (leading) => roots.lead(leading), stop.signal);
  const unfollow = [
    identity.authority.subscribe(() => roots.lookAtAll()),
    // Other discoverySelectors may be in force once this is published.
    store.subscribe((changes) => {
      const ours = changes.some(
        ({ kind, key }) => kind === 'ConfigMap' && key.startsWith(`${settings.systemNamespace}/`),
      );
      if (ours) xds.publisher.idle().then(() => roots.lookAtAll(), warn);
    }),
  ];
  return {
    async [Symbol.asyncDispose]() {
      for (const one of unfollow) one();
      stop.abort();
      await roots[Symbol.asyncDispose]();
      await election;
    },
  };
}

/** Where Ingresses are reached, written by the leader only. */
function keepIngressStatus(plane: ControlPlane, api: KubeApi, log: Logger): AsyncDisposable {
  const { store, graph, xds } = plane;
  const status = new IngressStatus({
    api,
    store,
    settled: () => xds.publisher.idle(),
    serves: (ingress) => isServed(graph.read, ingress, (name) => store.get('IngressClass', `/${name}`)),
    points: () => graph.read(ingressPoints, 'all'),
    sleep: rest,
    log: (message) => log.warn(message),
  });
  const stop = new AbortController();
  const election = stand(plane, api, log, ingressLease, (leading) => status.lead(leading), stop.signal);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await status[Symbol.asyncDispose]();
      await election;
    },
  };
}

/** Stands for a Lease of the control plane's namespace until the signal aborts. */
function stand(
  { settings }: ControlPlane,
  api: KubeApi,
  log: Logger,
  name: string,
  changed: (leading: boolean) => void,
  signal: AbortSignal,
): Promise<void> {
  return standForElection(
    {
      api,
      namespace: settings.systemNamespace,
      name,
      holder: process.env['POD_NAME'] ?? `${hostname()}-${randomUUID()}`,
      durationMs: leaseMs,
      sleep: rest,
      monotonic: () => performance.now(),
      now: Date.now,
      changed: (leading) => {
        log.info({ leading }, `leader election by ${name}`);
        changed(leading);
      },
      log: (message) => log.warn(message),
    },
    signal,
  );
}

/** Waits; resolves early when the signal aborts. */
function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
