// A proxy before the API server that misbehaves as networks and busy API servers do: cut, slow, expired and refused.
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request, type Server } from 'node:https';
import { dirname, join } from 'node:path';
import type { TestApiServer } from './kube-apiserver.ts';
import { freePort } from './ports.ts';
import { sleep } from './wait.ts';

/** What goes wrong, each as a probability from 0 to 1; absent means never. */
export interface Misbehaviour {
  /** A watch is cut before an event: the connection closes, now and then in the middle of a line. */
  readonly cut?: number;
  /** A watch says 410 Gone, as an event of type ERROR, instead of an event. */
  readonly expire?: number;
  /** A watch that names a resourceVersion is answered with status 410. */
  readonly refuseVersion?: number;
  /** A list is answered with 429, 500 or 503. */
  readonly fail?: number;
  /** Whatever is read is answered with 404, as by a load balancer that does not know where the API server is. */
  readonly lose?: number;
  /** Most milliseconds that an event is held back; each watch is held back on its own, so kinds overtake each other. */
  readonly delayMs?: number;
}

/** What the proxy did, so that a test can show that something happened. */
export interface ChaosCounts {
  cuts: number;
  expired: number;
  refused: number;
  failed: number;
  lost: number;
  /** Watches answered with 200. */
  watches: number;
  lists: number;
}

/** The proxy. `behave()` takes effect at once, also for open watches. */
export interface KubeChaos extends AsyncDisposable {
  readonly url: string;
  /** As the API server's own, but through the proxy; for another user see `writeKubeconfig` of it. */
  readonly kubeconfig: string;
  readonly counts: ChaosCounts;
  behave(misbehaviour: Misbehaviour): void;
  /** Cuts every open connection now. */
  cutAll(): void;
}

const gone = {
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message: 'too old resource version',
  reason: 'Expired',
  code: 410,
};

/** Starts a proxy before `server`, with its certificate. `random` gives numbers from 0 to 1; seed it. */
export async function startKubeChaos(server: TestApiServer, random: () => number): Promise<KubeChaos> {
  const certs = dirname(server.caFile);
  const cert = await readFile(server.caFile, 'utf8');
  const key = await readFile(join(certs, 'apiserver.key'), 'utf8');
  const chaos = new ChaosProxy(server, cert, random);
  const listener = createServer({ cert, key, keepAlive: true }, (incoming, outgoing) => {
    chaos.forward(incoming, outgoing).catch(() => outgoing.destroy());
  });
  const port = await freePort();
  listener.listen(port, '127.0.0.1');
  await once(listener, 'listening');
  await chaos.attach(listener, `https://127.0.0.1:${port}`, join(certs, '..', `kubeconfig-chaos-${port}`));
  return chaos;
}

class ChaosProxy implements KubeChaos {
  url = '';
  kubeconfig = '';
  readonly counts: ChaosCounts = { cuts: 0, expired: 0, refused: 0, failed: 0, lost: 0, watches: 0, lists: 0 };
  readonly #server: TestApiServer;
  readonly #random: () => number;
  readonly #agent: Agent;
  #listener: Server | undefined;
  #misbehaviour: Misbehaviour = {};

  constructor(server: TestApiServer, ca: string, random: () => number) {
    this.#server = server;
    this.#random = random;
    this.#agent = new Agent({ keepAlive: true, ca });
  }

  async attach(listener: Server, url: string, kubeconfig: string): Promise<void> {
    this.#listener = listener;
    this.url = url;
    this.kubeconfig = kubeconfig;
    await this.#server.writeKubeconfig(kubeconfig, this.#server.token, url);
  }

  behave(misbehaviour: Misbehaviour): void {
    this.#misbehaviour = misbehaviour;
  }

  cutAll(): void {
    this.#listener?.closeAllConnections();
  }

  async forward(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', this.#server.url);
    const watches = ['1', 'true'].includes(url.searchParams.get('watch') ?? '');
    const version = url.searchParams.get('resourceVersion') ?? '';
    if (incoming.method === 'GET' && this.#happens('lose')) {
      this.counts.lost += 1;
      return this.#refuse(incoming, outgoing, 404, { message: 'no such page' });
    }
    if (watches && version !== '' && version !== '0' && this.#happens('refuseVersion')) {
      this.counts.refused += 1;
      return this.#refuse(incoming, outgoing, 410, gone);
    }
    if (!watches && incoming.method === 'GET' && this.#happens('fail')) {
      this.counts.failed += 1;
      const status = [429, 500, 503][Math.floor(this.#random() * 3)] as number;
      return this.#refuse(incoming, outgoing, status, { ...gone, code: status, reason: 'Unknown', message: 'chaos' });
    }
    const answer = await this.#pass(incoming, outgoing, url);
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    outgoing.flushHeaders();
    if (watches && answer.statusCode === 200) {
      this.counts.watches += 1;
      await this.#relayEvents(answer, outgoing);
    } else {
      if (incoming.method === 'GET') this.counts.lists += 1;
      answer.pipe(outgoing);
    }
  }

  /** The API server's answer; the request ends with the client's connection. */
  #pass(incoming: IncomingMessage, outgoing: ServerResponse, url: URL): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { method, headers } = incoming;
      const call = request(url, { method, headers: { ...headers, host: url.host }, agent: this.#agent }, resolve);
      call.on('error', (error) => {
        outgoing.destroy();
        reject(error);
      });
      outgoing.on('close', () => call.destroy());
      incoming.pipe(call);
    });
  }

  #refuse(incoming: IncomingMessage, outgoing: ServerResponse, status: number, body: object): void {
    incoming.resume();
    outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }

  /** One event at a time, so that a client sees whole lines until something goes wrong. */
  async #relayEvents(answer: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    let rest = '';
    answer.setEncoding('utf8');
    for await (const chunk of answer) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (!(await this.#relay(line, outgoing))) return;
      }
    }
    outgoing.end();
  }

  /** Whether the watch goes on. */
  async #relay(line: string, outgoing: ServerResponse): Promise<boolean> {
    const delay = (this.#misbehaviour.delayMs ?? 0) * this.#random();
    if (delay > 0) await sleep(delay);
    if (outgoing.destroyed) return false;
    if (this.#happens('cut')) {
      this.counts.cuts += 1;
      if (this.#random() < 0.5) outgoing.write(line.slice(0, line.length / 2), () => outgoing.destroy());
      else outgoing.destroy();
      return false;
    }
    if (this.#happens('expire')) {
      this.counts.expired += 1;
      outgoing.end(`${JSON.stringify({ type: 'ERROR', object: gone })}\n`);
      return false;
    }
    if (!outgoing.write(`${line}\n`)) await Promise.race([once(outgoing, 'drain'), once(outgoing, 'close')]);
    return !outgoing.destroyed;
  }

  #happens(what: Exclude<keyof Misbehaviour, 'delayMs'>): boolean {
    const probability = this.#misbehaviour[what] ?? 0;
    return probability > 0 && this.#random() < probability;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener?.close();
    this.cutAll();
    this.#agent.destroy();
    await rm(this.kubeconfig, { force: true });
  }
}
