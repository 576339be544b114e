// How many pods a second the webhook injects over TLS with 8 callers, by meshload: `node test/bench/inject.ts [seconds]`.
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { noMetrics } from '../../webhook/metrics.ts';
import { startWebhookServer } from '../../webhook/server.ts';
import { ensureMeshload } from '../support/meshload.ts';
import { emptyCluster, selfSigned, testSettings } from '../support/webhook.ts';

/** What meshload prints. Latencies in milliseconds, CPU time of the server's process for each injection. */
interface Report {
  readonly injections_per_s: number;
  readonly latency: Readonly<Record<string, number>>;
  readonly server_cpu_ms_each: number;
}

async function serve(): Promise<void> {
  const settings = testSettings({}, {}, { nativeSidecars: 'enabled' });
  const server = await startWebhookServer({
    host: '127.0.0.1',
    port: 0,
    certificate: selfSigned('istiod.istio-system.svc'),
    settings: () => settings,
    cluster: emptyCluster,
    validators: { object: () => [] },
    metrics: noMetrics,
    now: () => performance.now() / 1_000,
  });
  process.send?.(server.port);
}

async function measure(seconds: number): Promise<void> {
  const meshload = await ensureMeshload();
  const child = fork(import.meta.filename, ['serve']);
  try {
    const [port] = await once(child, 'message');
    const url = `https://127.0.0.1:${port}/inject`;
    const run = (time: number) =>
      JSON.parse(
        execFileSync(meshload, ['inject', '-url', url, '-seconds', String(time), '-pid', String(child.pid)], {
          encoding: 'utf8',
        }),
      ) as Report;
    run(2);
    const report = run(seconds);
    console.log(JSON.stringify(report, undefined, 2));
    console.log('wanted: at least 1500 injections/s, p99 at most 25 ms, at most 0.7 CPU-ms each');
  } finally {
    child.kill();
  }
}

if (process.argv[2] === 'serve') await serve();
else await measure(Number(process.argv[2] ?? 8));
