// The checks of `meltemi up --check`: real requests through the real Envoys, one line each.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { forwardProxyPort } from './machine.ts';
import type { LaptopMesh } from './mesh.ts';

/** Number of checks by outcome. */
export interface CheckCounts {
  readonly passed: number;
  readonly failed: number;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

interface Check {
  readonly name: string;
  /** Throws, with what was seen, where the mesh does not behave so. */
  readonly run: (mesh: LaptopMesh) => Promise<void>;
}

const startupMs = 60_000;
/** Certificates are renewed at half their life, and new connections are made for them. */
const renewalMs = 40_000;

/** Waits for the mesh to carry traffic, runs every check and prints a line each. */
export async function runChecks(mesh: LaptopMesh, say: (line: string) => void): Promise<CheckCounts> {
  let passed = 0;
  let failed = 0;
  for (const { name, run } of checks) {
    const started = performance.now();
    try {
      await run(mesh);
      passed++;
      say(`ok    ${name} (${Math.round(performance.now() - started)} ms)`);
    } catch (error) {
      failed++;
      say(`FAIL  ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { passed, failed };
}

const checks: readonly Check[] = [
  {
    name: 'every proxy is connected and has acknowledged its listeners',
    run: async (mesh) => {
      const wanted = mesh.envoys().length;
      await until(startupMs, () => {
        const ready = [...mesh.plane.xds.publisher.streams].filter(
          (stream) => stream.channels.get('listener')?.sub.acked !== undefined,
        );
        return ready.length >= wanted ? undefined : `${ready.length} of ${wanted} proxies have acknowledged listeners`;
      });
    },
  },
  {
    name: 'a request enters at the gateway and is answered by the product page',
    run: async (mesh) => {
      await eventually(startupMs, async () => {
        const answer = await get(mesh, '/api/product');
        expect(answer.status === 200, `status ${answer.status}: ${answer.body.slice(0, 200)}`);
        const page = JSON.parse(answer.body) as { details: { status: number }; reviews: { status: number } };
        expect(page.details.status === 200 && page.reviews.status === 200, answer.body.slice(0, 300));
      });
    },
  },
  {
    name: 'weights: about one request in ten goes to reviews v2',
    run: async (mesh) => {
      const seen = await versions(mesh, 200, {});
      const share = (seen.get('v2') ?? 0) / 200;
      expect(share > 0.02 && share < 0.25, `share of v2 is ${share}`);
    },
  },
  {
    name: 'header match: all of jason’s requests go to reviews v2',
    run: async (mesh) => {
      const seen = await versions(mesh, 20, { 'end-user': 'jason' });
      expect(seen.get('v2') === 20, JSON.stringify([...seen]));
    },
  },
  {
    name: 'fault injection: testers get 418 from ratings',
    run: async (mesh) => {
      const answer = await viaSidecar(mesh, 'productpage-v1-0', 'http://ratings:9080/ratings/0', {
        'end-user': 'tester',
      });
      expect(answer.status === 418, `status ${answer.status}`);
    },
  },
  {
    name: 'retries: two failures are hidden by the third attempt',
    run: async (mesh) => {
      const answer = await viaSidecar(mesh, 'productpage-v1-0', 'http://ratings:9080/flaky');
      const { attempt } = JSON.parse(answer.body) as { attempt?: number };
      expect(answer.status === 200 && attempt === 3, `status ${answer.status}, attempt ${attempt}`);
    },
  },
  {
    name: 'timeout: a slow answer is cut off after half a second',
    run: async (mesh) => {
      const started = performance.now();
      const answer = await viaSidecar(mesh, 'productpage-v1-0', 'http://ratings:9080/slow');
      const took = performance.now() - started;
      expect(answer.status === 504 && took < 1_500, `status ${answer.status} after ${Math.round(took)} ms`);
    },
  },
  {
    name: 'mirroring: details gets a copy of requests to ratings',
    run: async (mesh) => {
      const before = mesh.served('details-v1-0');
      for (let i = 0; i < 5; i++) await viaSidecar(mesh, 'productpage-v1-0', 'http://ratings:9080/copied');
      await until(3_000, () =>
        mesh.served('details-v1-0') >= before + 5 ? undefined : `${mesh.served('details-v1-0') - before} copies of 5`,
      );
    },
  },
  {
    name: 'redirect: /old is sent to /productpage',
    run: async (mesh) => {
      const answer = await get(mesh, '/old');
      expect(
        answer.status === 301 && String(answer.headers.location).endsWith('/productpage'),
        `${answer.status} ${answer.headers.location}`,
      );
    },
  },
  {
    name: 'direct response: /hello is answered by the gateway',
    run: async (mesh) => {
      const answer = await get(mesh, '/hello');
      expect(answer.status === 200 && answer.body === 'hello from the mesh\n', `${answer.status} ${answer.body}`);
    },
  },
  {
    name: 'HTTPS at the gateway with the certificate of a Secret',
    run: async (mesh) => {
      const answer = await secureGet(mesh, 'shop.example.com', '/hello');
      expect(answer.status === 200, `status ${answer.status}`);
    },
  },
  {
    name: 'egress: a service outside the mesh is reached by its ServiceEntry',
    run: async (mesh) => {
      const answer = await get(mesh, '/partner');
      const page = JSON.parse(answer.body) as { partner?: { outside?: boolean; status: number } };
      expect(page.partner?.outside === true, answer.body.slice(0, 200));
    },
  },
  {
    name: 'mTLS: the peer’s SPIFFE id reaches the app in x-forwarded-client-cert',
    run: async (mesh) => {
      const answer = await viaSidecar(mesh, 'productpage-v1-0', 'http://ratings:9080/headers');
      const { xfcc = '' } = JSON.parse(answer.body) as { xfcc?: string };
      expect(xfcc.includes('spiffe://cluster.local/ns/bookinfo/sa/productpage'), `x-forwarded-client-cert: ${xfcc}`);
    },
  },
  {
    name: 'mTLS: plaintext to a sidecar is refused',
    run: async (mesh) => {
      const ratings = mesh.instances().find((instance) => instance.name === 'ratings-v1-0');
      if (ratings === undefined) throw new Error('there is no ratings-v1-0');
      const answer = await plaintext(ratings.address, 9080);
      expect(!answer.startsWith('HTTP/1.1 200'), `answered ${answer.slice(0, 60)}`);
    },
  },
  {
    name: 'mTLS: a peer of another service account is refused by the name check',
    run: async (mesh) => {
      const answer = await viaSidecar(
        mesh,
        'productpage-v1-0',
        'http://details-elsewhere.bookinfo.svc.cluster.local:9080/details/0',
      );
      expect(answer.status === 503, `status ${answer.status}`);
    },
  },
  {
    name: 'mTLS: certificates of 30 seconds are renewed under load without a failed request',
    run: async (mesh) => {
      const hashOf = async (): Promise<string> => {
        const answer = await viaSidecar(mesh, 'productpage-v1-0', 'http://ratings:9080/headers');
        expect(answer.status === 200, `status ${answer.status}: ${answer.body.slice(0, 100)}`);
        return /Hash=([0-9a-f]+)/.exec((JSON.parse(answer.body) as { xfcc?: string }).xfcc ?? '')?.[1] ?? '';
      };
      const first = await hashOf();
      let requests = 1;
      let last = first;
      const end = performance.now() + renewalMs;
      // A connection keeps the certificate it was made with; the sample has Envoy make new ones.
      while (last === first && performance.now() < end) {
        last = await hashOf();
        requests++;
      }
      expect(last !== first && last !== '', `the certificate was still the same after ${requests} requests`);
    },
  },
  {
    name: 'a changed file changes the traffic',
    run: async (mesh) => {
      const file = join(mesh.folder, 'check-change.yaml');
      try {
        await writeFile(file, JSON.stringify(changedRoute));
        await eventually(5_000, async () => {
          const seen = await versions(mesh, 10, { 'x-canary': 'yes' });
          expect(seen.get('v2') === 10, JSON.stringify([...seen]));
        });
      } finally {
        await rm(file, { force: true });
      }
      await eventually(5_000, async () => {
        const seen = await versions(mesh, 30, { 'x-canary': 'yes' });
        expect((seen.get('v1') ?? 0) > 0, 'the route is still in force after its file was removed');
      });
    },
  },
];

/** Sends everybody to v2. Of VirtualServices of one age the first by name speaks for a host. */
const changedRoute = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'a-check-change', namespace: 'bookinfo' },
  spec: {
    hosts: ['reviews'],
    http: [{ route: [{ destination: { host: 'reviews', subset: 'v2' } }] }],
  },
};

async function versions(
  mesh: LaptopMesh,
  count: number,
  headers: Readonly<Record<string, string>>,
): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const answer = await viaSidecar(mesh, 'productpage-v1-0', 'http://reviews:9080/reviews/0', headers);
    const version =
      answer.status === 200 ? (JSON.parse(answer.body) as { version: string }).version : String(answer.status);
    seen.set(version, (seen.get(version) ?? 0) + 1);
  }
  return seen;
}

function get(mesh: LaptopMesh, path: string): Promise<Answer> {
  const port = mesh.ports().find((p) => p.protocol === 'HTTP')?.listening ?? 0;
  return send((done) => httpRequest({ host: '127.0.0.1', port, path, agent: false, timeout: 10_000 }, done));
}

async function secureGet(mesh: LaptopMesh, host: string, path: string): Promise<Answer> {
  const port = mesh.ports().find((p) => p.protocol === 'HTTPS')?.listening ?? 0;
  const ca = await readFile(join(mesh.stateDir, 'root-cert.pem'));
  const agent = new Agent({ ca });
  return send((done) =>
    httpsRequest({ host: '127.0.0.1', port, path, agent, servername: host, headers: { host }, timeout: 10_000 }, done),
  );
}

function viaSidecar(
  mesh: LaptopMesh,
  name: string,
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const instance = mesh.instances().find((one) => one.name === name);
  if (instance === undefined) throw new Error(`there is no ${name}`);
  return send((done) =>
    httpRequest(
      {
        host: instance.address,
        port: forwardProxyPort,
        path: url,
        headers: { ...headers, host: new URL(url).host },
        agent: false,
        timeout: 10_000,
      },
      done,
    ),
  );
}

function send(start: (done: (incoming: IncomingMessage) => void) => ReturnType<typeof httpRequest>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = start((incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    call.on('timeout', () => call.destroy(new Error('timed out')));
    call.on('error', reject);
    call.end();
  });
}

/** What a server says to a plaintext HTTP request; empty where it closes the connection. */
function plaintext(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ host, port, timeout: 3_000 }, () =>
      socket.write(`GET /ratings/0 HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`),
    );
    socket.setEncoding('latin1').on('data', (text: string) => {
      answer += text;
    });
    for (const event of ['timeout', 'error', 'close'] as const) {
      socket.on(event, () => {
        socket.destroy();
        resolve(answer);
      });
    }
  });
}

function expect(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(otherwise);
}

/** Waits until `problem` gives nothing; then throws the last one. */
async function until(ms: number, problem: () => string | undefined): Promise<void> {
  const end = performance.now() + ms;
  for (;;) {
    const now = problem();
    if (now === undefined) return;
    if (performance.now() > end) throw new Error(now);
    await sleep(50);
  }
}

async function eventually(ms: number, attempt: () => Promise<void>): Promise<void> {
  const end = performance.now() + ms;
  for (;;) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(100);
    }
  }
}
