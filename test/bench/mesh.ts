// `npm run bench:mesh`: the control plane under meshload's streams and changes, beside what istiod needed for the same.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { run, runOrThrow } from '../support/child.ts';
import { type DiscoveryOptions, startDiscovery } from '../support/discovery.ts';
import { startApiServer } from '../support/kube-apiserver.ts';
import { ensureMeshload } from '../support/meshload.ts';
import { startFolderApi } from './folder-api.ts';
import { type AdsReport, formatTable, rowsOf, type Sample } from './mesh-report.ts';

const { values } = parseArgs({
  options: {
    /** `kubernetes`, which istiod's figures were taken with, or `files`. */
    source: { type: 'string', default: 'kubernetes' },
    /** Runs of each load; the figures are their medians. */
    runs: { type: 'string', default: '3' },
    services: { type: 'string', default: '1000' },
    namespaces: { type: 'string', default: '20' },
    /** Streams without and with Sidecar scopes; 0 leaves that load out. */
    unscoped: { type: 'string', default: '100' },
    scoped: { type: 'string', default: '1000' },
    /** Changes of each kind in a run. */
    flips: { type: 'string', default: '10' },
    /** Prints each run's report as JSON too. */
    verbose: { type: 'boolean', default: false },
    /** More arguments of Node for the control plane, such as `--cpu-prof`. */
    node: { type: 'string', default: '' },
  },
});

/** Where meshload writes and the control plane reads. */
interface Cluster extends AsyncDisposable {
  readonly api: string;
  readonly token: string;
  readonly discovery: DiscoveryOptions;
  /** Makes what was seeded visible to the control plane. */
  seeded(): Promise<void>;
}

async function kubernetesCluster(): Promise<Cluster> {
  const server = await startApiServer();
  const program = join(import.meta.dirname, '..', '..', 'cmd', 'main.ts');
  await server.client.applyYaml(await runOrThrow(process.execPath, [program, 'manifest', 'crds']));
  await server.client.pathOf({ apiVersion: 'networking.istio.io/v1', kind: 'Sidecar', metadata: { name: 'x' } });
  await server.client.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'istio-system' } });
  return {
    api: server.url,
    token: server.token,
    discovery: { kubeconfig: server.kubeconfig },
    seeded: async () => undefined,
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

async function folderCluster(): Promise<Cluster> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-mesh-'));
  const state = await mkdtemp(join(tmpdir(), 'bench-mesh-state-'));
  const api = await startFolderApi(folder);
  return {
    api: api.url,
    token: '',
    discovery: { configFolder: folder, flags: ['--stateDir', state] },
    seeded: () => api.flush(),
    [Symbol.asyncDispose]: async () => {
      await api[Symbol.asyncDispose]();
      for (const path of [folder, state]) await rm(path, { recursive: true, force: true });
    },
  };
}

const size = ['-services', values.services, '-namespaces', values.namespaces] as const;

/** What is there already is left as it is, so that a second call with `-scoped` adds the scopes. */
async function seed(meshload: string, cluster: Cluster, more: readonly string[]): Promise<void> {
  const args = ['seed', '-api', cluster.api, '-token', cluster.token, ...size, ...more];
  await runOrThrow(meshload, args, { timeoutMs: 600_000 });
  await cluster.seeded();
}

/** One run against a fresh process. */
async function measure(meshload: string, cluster: Cluster, load: readonly string[]): Promise<Sample> {
  const nodeArgs = values.node.split(' ').filter((arg) => arg !== '');
  await using discovery = await startDiscovery({ ...cluster.discovery, nodeArgs });
  const xds = `${discovery.address}:${discovery.ports.grpc}`;
  const pid = String(discovery.child.pid);
  const args = ['ads', '-api', cluster.api, '-token', cluster.token, '-xds', xds, '-pid', pid, ...size, ...load];
  const { code, stdout, stderr } = await run(meshload, args, { timeoutMs: 600_000 });
  if (code !== 0) throw new Error(`${stderr.trim()}\n${discovery.child.output().slice(-4000)}`);
  if (values.verbose) console.error(stdout);
  return { readyMs: discovery.readyAfterMs, report: JSON.parse(stdout) as AdsReport };
}

async function measureAll(meshload: string, cluster: Cluster, streams: string, scoped: boolean): Promise<Sample[]> {
  const samples: Sample[] = [];
  const load = ['-streams', streams, '-flips', values.flips, ...(scoped ? ['-scoped'] : [])];
  for (let i = 0; Number(streams) > 0 && i < Number(values.runs); i++) {
    console.error(`${scoped ? 'scoped' : 'unscoped'}, ${streams} streams: run ${i + 1} of ${values.runs}`);
    samples.push(await measure(meshload, cluster, load));
  }
  return samples;
}

const meshload = await ensureMeshload((message) => console.error(message));
await using cluster = values.source === 'files' ? await folderCluster() : await kubernetesCluster();
console.error(`seeding ${values.services} services in ${values.namespaces} namespaces`);
await seed(meshload, cluster, []);
const unscoped = await measureAll(meshload, cluster, values.unscoped, false);
if (Number(values.scoped) > 0) await seed(meshload, cluster, ['-scoped']);
const scoped = await measureAll(meshload, cluster, values.scoped, true);
console.log(formatTable(rowsOf({ unscoped, scoped, streams: [Number(values.unscoped), Number(values.scoped)] })));
