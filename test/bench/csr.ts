// How many certificates a second the service issues over gRPC with TLS, distinct tokens and 16 callers: `node test/bench/csr.ts`.
import { fork } from 'node:child_process';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { certificateServiceDefinition } from '../../certs/service.ts';
import type { KeyAlgorithm } from '../../certs/signer.ts';
import { newToken, startCertificateServer } from '../support/certificate-server.ts';
import { ecKeys, makeCsr, rsaKeys } from '../support/csr.ts';

const callers = 16;
const requests = Number(process.env['REQUESTS'] ?? 6000);

interface ServerReady {
  readonly port: number;
  readonly roots: string;
  readonly tokens: readonly string[];
}

interface ServerDone {
  readonly delayP99: number;
  readonly cpuSeconds: number;
  readonly rss: number;
}

async function serve(algorithm: KeyAlgorithm): Promise<void> {
  const server = await startCertificateServer({ algorithm });
  const tokens: string[] = [];
  for (let i = 0; i < requests; i++) {
    tokens.push(await newToken(server, `ns-${i % 100}`, `sa-${i}`));
  }
  const delay = monitorEventLoopDelay({ resolution: 5 });
  const ready: ServerReady = { port: server.port, roots: server.authority.state.bundle.pem, tokens };
  process.send?.(ready);
  let start = process.cpuUsage();
  process.on('message', (order) => {
    if (order === 'start') {
      start = process.cpuUsage();
      delay.enable();
      return;
    }
    const used = process.cpuUsage(start);
    const done: ServerDone = {
      delayP99: delay.percentile(99) / 1e6,
      cpuSeconds: (used.user + used.system) / 1e6,
      rss: process.memoryUsage.rss() / 2 ** 20,
    };
    process.send?.(done, () => process.exit(0));
  });
}

async function measure(authority: KeyAlgorithm, workload: 'ec' | 'rsa'): Promise<void> {
  const child = fork(import.meta.filename, ['serve', authority], { stdio: 'inherit' });
  const next = <T>() => new Promise<T>((resolve) => child.once('message', (message) => resolve(message as T)));
  const { port, roots, tokens } = await next<ServerReady>();
  const csrs = Array.from({ length: 20 }, () => makeCsr(workload === 'ec' ? ecKeys() : rsaKeys()));
  const clients = Array.from(
    { length: callers },
    () =>
      new Client(`localhost:${port}`, credentials.createSsl(Buffer.from(roots)), {
        'grpc.use_local_subchannel_pool': 1,
      }),
  );
  const times: number[] = [];
  let at = 0;
  const call = async (client: Client): Promise<void> => {
    for (let i = at++; i < requests; i = at++) {
      const began = performance.now();
      await create(client, csrs[i % csrs.length] ?? '', tokens[i] ?? '');
      times.push(performance.now() - began);
    }
  };
  child.send('start');
  const began = performance.now();
  await Promise.all(clients.map(call));
  const seconds = (performance.now() - began) / 1000;
  child.send('stop');
  const done = await next<ServerDone>();
  times.sort((a, b) => a - b);
  const at99 = times[Math.floor(times.length * 0.99)] ?? 0;
  const at50 = times[Math.floor(times.length * 0.5)] ?? 0;
  console.log(
    `${authority} CA, ${workload} requests: ${Math.round(requests / seconds)}/s, p50 ${at50.toFixed(1)} ms, p99 ${at99.toFixed(1)} ms, ` +
      `server CPU ${((done.cpuSeconds / requests) * 1e6).toFixed(0)} µs each, event-loop delay p99 ${done.delayP99.toFixed(1)} ms, ${done.rss.toFixed(0)} MB`,
  );
  for (const client of clients) {
    client.close();
  }
}

function create(client: Client, csr: string, token: string): Promise<void> {
  const { path, requestSerialize } = certificateServiceDefinition.createCertificate;
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  const message = { $typeName: 'istio.v1.auth.IstioCertificateRequest' as const, csr, validityDuration: 0n };
  return new Promise((resolve, reject) => {
    // The reply is not decoded: the client shares the machine with what is measured.
    client.makeUnaryRequest(
      path,
      requestSerialize,
      (bytes: Buffer) => bytes,
      message,
      metadata,
      (error) => (error === null ? resolve() : reject(error)),
    );
  });
}

if (process.argv[2] === 'serve') {
  await serve(process.argv[3] as KeyAlgorithm);
} else {
  for (const authority of ['ec-p256', 'rsa-2048'] satisfies KeyAlgorithm[]) {
    await measure(authority, 'ec');
    await measure(authority, 'rsa');
  }
}
