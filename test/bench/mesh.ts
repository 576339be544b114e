// `npm run bench:mesh`: the control plane under meshload's streams and changes, beside what istiod needed for the same.
import { parseArgs } from 'node:util';
import { run, runOrThrow } from '../support/child.ts';
import { startDiscovery } from '../support/discovery.ts';
import { startApiServer, type TestApiServer } from '../support/kube-apiserver.ts';
import { ensureMeshload } from '../support/meshload.ts';
import { type AdsReport, formatTable, type Sample, samplesOf } from './mesh-report.ts';

const { values } = parseArgs({
  options: {
    /** Runs of each load; the figures are their medians. */
    runs: { type: 'string', default: '3' },
    services: { type: 'string', default: '1000' },
    namespaces: { type: 'string', default: '20' },
    /** Streams without and with Sidecar scopes. */
    unscoped: { type: 'string', default: '100' },
    scoped: { type: 'string', default: '1000' },
    /** Changes of each kind in a run. */
    flips: { type: 'string', default: '10' },
    /** Prints each run's report as JSON too. */
    verbose: { type: 'boolean', default: false },
  },
});

const size = ['-services', values.services, '-namespaces', values.namespaces] as const;

/** Applies the CustomResourceDefinitions as an operator would: by what `manifest crds` prints. */
async function applyDefinitions(server: TestApiServer): Promise<void> {
  const program = new URL('../../cmd/main.ts', import.meta.url).pathname;
  await server.client.applyYaml(await runOrThrow(process.execPath, [program, 'manifest', 'crds']));
  await server.client.pathOf({ apiVersion: 'networking.istio.io/v1', kind: 'Sidecar', metadata: { name: 'x' } });
}

async function seed(meshload: string, server: TestApiServer): Promise<void> {
  const args = ['seed', '-api', server.url, '-token', server.token, ...size];
  await runOrThrow(meshload, args, { timeoutMs: 600_000 });
}

/** One Sidecar a namespace, which sees only its own. */
async function addScopes(server: TestApiServer): Promise<void> {
  for (let i = 0; i < Number(values.namespaces); i++) {
    await server.client.apply({
      apiVersion: 'networking.istio.io/v1',
      kind: 'Sidecar',
      metadata: { name: 'default', namespace: `load-${i}` },
      spec: { egress: [{ hosts: ['./*'] }] },
    });
  }
}

/** One run against a fresh process. */
async function measure(meshload: string, server: TestApiServer, streams: string, scoped: boolean): Promise<Sample> {
  await using discovery = await startDiscovery({ kubeconfig: server.kubeconfig });
  const xds = `${discovery.address}:${discovery.ports.grpc}`;
  const args = ['ads', '-api', server.url, '-token', server.token, '-xds', xds, '-pid', String(discovery.child.pid)];
  const load = [...size, '-streams', streams, '-flips', values.flips, ...(scoped ? ['-scoped'] : [])];
  const { code, stdout, stderr } = await run(meshload, [...args, ...load], { timeoutMs: 600_000 });
  if (code !== 0) throw new Error(`${stderr.trim()}\n${discovery.child.output().slice(-4000)}`);
  if (values.verbose) console.error(stdout);
  return { readyMs: discovery.readyAfterMs, report: JSON.parse(stdout) as AdsReport };
}

async function measureAll(
  meshload: string,
  server: TestApiServer,
  streams: string,
  scoped: boolean,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let i = 0; i < Number(values.runs); i++) {
    console.error(`${scoped ? 'scoped' : 'unscoped'}, ${streams} streams: run ${i + 1} of ${values.runs}`);
    samples.push(await measure(meshload, server, streams, scoped));
  }
  return samples;
}

const meshload = await ensureMeshload((message) => console.error(message));
await using server = await startApiServer();
console.error(`seeding ${values.services} services in ${values.namespaces} namespaces`);
await applyDefinitions(server);
await seed(meshload, server);
const unscoped = await measureAll(meshload, server, values.unscoped, false);
await addScopes(server);
const scoped = await measureAll(meshload, server, values.scoped, true);
console.log(formatTable(samplesOf({ unscoped, scoped, streams: [Number(values.unscoped), Number(values.scoped)] })));
