// What a sample app is: an HTTP server, in the mesh on a Unix socket, that calls other services through its sidecar.

import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';

/** What an app may use: its name and version, and how to reach other services. */
export interface AppContext {
  /** Name of the service, `reviews`. */
  readonly name: string;
  readonly version: string;
  /** Calls `http://<host>/<path>` through the sidecar, passing on the headers that tracing and routing need. */
  readonly call: (url: string, headers: Readonly<Record<string, string>>) => Promise<AppResponse>;
}

/** A request as an app sees it. */
export interface AppRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** An answer. */
export interface AppResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Handles one request. */
export type Handler = (request: AppRequest, app: AppContext) => Promise<AppResponse>;

/** Where an app listens and through which proxy it calls. */
export interface AppOptions {
  readonly name: string;
  readonly version: string;
  /** Unix socket to listen on. */
  readonly socket?: string;
  /** Address to listen on, for what lies outside the mesh. */
  readonly listen?: { readonly host: string; readonly port: number };
  /** Port of the sidecar's forward proxy on `proxyHost`; absent where the app calls nobody. */
  readonly proxy?: { readonly host: string; readonly port: number };
}

/** A running app. */
export interface RunningApp extends AsyncDisposable {
  /** Requests served so far. */
  readonly served: () => number;
}

const passedOn = [
  'x-request-id',
  'x-b3-traceid',
  'x-b3-spanid',
  'traceparent',
  'end-user',
  'user-agent',
  'x-canary',
] as const;
const callTimeoutMs = 10_000;
const bodyLimit = 1024 * 1024;

/** Starts an app; resolves when it listens. */
export async function startApp(handler: Handler, options: AppOptions): Promise<RunningApp> {
  let served = 0;
  const context: AppContext = {
    name: options.name,
    version: options.version,
    call: (url, headers) => callThrough(options.proxy, url, headers),
  };
  const server = createServer((incoming, outgoing) => {
    served++;
    handle(handler, context, incoming)
      .catch(
        (error: unknown): AppResponse => ({ status: 502, headers: {}, body: `${options.name}: ${String(error)}\n` }),
      )
      .then((answer) => reply(outgoing, answer, options));
  });
  if (options.socket !== undefined) await rm(options.socket, { force: true });
  await listen(server, options);
  return {
    served: () => served,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      if (options.socket !== undefined) await rm(options.socket, { force: true });
    },
  };
}

/** The headers that a call to the next service carries on. */
export function passOn(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(passedOn.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]])));
}

/** An answer in JSON. */
export function json(status: number, value: unknown): AppResponse {
  return { status, headers: { 'content-type': 'application/json' }, body: `${JSON.stringify(value)}\n` };
}

async function handle(handler: Handler, context: AppContext, incoming: IncomingMessage): Promise<AppResponse> {
  await bodyOf(incoming);
  return handler(
    { method: incoming.method ?? 'GET', path: incoming.url ?? '/', headers: headersOf(incoming) },
    context,
  );
}

function reply(outgoing: ServerResponse, answer: AppResponse, options: AppOptions): void {
  if (outgoing.destroyed) return;
  outgoing.writeHead(answer.status, { ...answer.headers, 'x-app': `${options.name}-${options.version}` });
  outgoing.end(answer.body);
}

function callThrough(
  proxy: AppOptions['proxy'],
  url: string,
  headers: Readonly<Record<string, string>>,
): Promise<AppResponse> {
  if (proxy === undefined) return Promise.reject(new Error('this app calls nobody'));
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: proxy.host,
        port: proxy.port,
        path: url,
        method: 'GET',
        headers: { ...passOn(headers), host: new URL(url).host },
        timeout: callTimeoutMs,
        agent: false,
      },
      (incoming) => {
        bodyOf(incoming).then(
          (body) => resolve({ status: incoming.statusCode ?? 0, headers: headersOf(incoming), body }),
          reject,
        );
      },
    );
    call.on('timeout', () => call.destroy(new Error('timed out')));
    call.on('error', reject);
    call.end();
  });
}

function headersOf(incoming: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]));
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming) {
    size += (chunk as Buffer).length;
    if (size > bodyLimit) throw new Error('body too large');
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function listen(server: Server, options: AppOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.socket === undefined ? { ...options.listen } : { path: options.socket }, () => resolve());
  });
}
