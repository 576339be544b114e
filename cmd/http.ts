// The plain HTTP ports: readiness, version, metrics and debug pages.
import type { Socket } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import { plainHost } from '../config/peer-address.ts';
import { withoutSchemas } from '../webhook/server-schemas.ts';
import { placeOf } from './setting-values.ts';
import { splitConnections } from './split-connections.ts';

/** What a page answers: JSON, or text with its type, or a status with a text. */
export type Page =
  | { readonly json: unknown }
  | { readonly text: string; readonly type: string; readonly status?: number };

/** Query of a debug page. */
export type PageQuery = Readonly<Record<string, string>>;

/** Whether the control plane may be used, and why not. */
export interface Readiness {
  readonly ready: boolean;
  readonly reason: string;
}

/** Pages by path. `debug` gives undefined for a path it does not know. */
export interface HttpPages {
  readonly ready: () => Readiness;
  readonly version: string;
  readonly metrics: () => Promise<{ readonly text: string; readonly type: string }>;
  /** The page under /debug/; `peer` is the caller's address and `authorization` its header, for access control. */
  readonly debug: (
    path: string,
    query: PageQuery,
    peer: string,
    authorization: string | undefined,
  ) => Promise<Page | undefined>;
}

/** An open HTTP port. */
export interface HttpPort extends AsyncDisposable {
  readonly port: number;
}

const bodyLimit = 64 * 1024;

/** What else a port serves. */
export interface HttpExtras {
  /** Adds routes. */
  readonly routes?: (server: FastifyInstance) => void;
  /** Takes the connections that speak HTTP/2, and ends them when the port closes. */
  readonly http2?: { readonly accept: (socket: Socket) => void; readonly close: () => Promise<void> };
}

/** Opens a port with the pages. Rejects with a message that names the flag where the port cannot be opened. */
export async function openHttp(
  flag: string,
  address: string,
  pages: HttpPages,
  { routes, http2 }: HttpExtras = {},
): Promise<HttpPort> {
  const server = Fastify({
    bodyLimit,
    requestTimeout: 10_000,
    keepAliveTimeout: 60_000,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 4_096 },
    ...withoutSchemas,
  });
  addPages(server, pages);
  routes?.(server);
  if (http2 !== undefined) splitConnections(server.server, http2.accept);
  await server.listen(placeOf(address)).catch((error: unknown) => {
    throw new Error(`${flag} ${address}: ${error instanceof Error ? error.message : String(error)}`);
  });
  const bound = server.server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : 0,
    async [Symbol.asyncDispose]() {
      await Promise.all([http2?.close(), server.close()]);
    },
  };
}

/** Adds the pages to a server; apart from `openHttp` so that tests need no port. */
export function addPages(server: FastifyInstance, pages: HttpPages): void {
  server.get('/ready', (_request, reply) => {
    const { ready, reason } = pages.ready();
    return reply
      .code(ready ? 200 : 503)
      .type('text/plain')
      .send(ready ? 'ready\n' : `not ready: ${reason}\n`);
  });
  server.get('/version', (_request, reply) => reply.type('text/plain').send(pages.version));
  server.get('/metrics', async (_request, reply) => {
    const { text, type } = await pages.metrics();
    return reply.type(type).send(text);
  });
  const debug = async (path: string, query: PageQuery, peer: string, authorization: string | undefined) =>
    pages.debug(path, query, peer, authorization);
  server.get<{ Params: { '*': string } }>('/debug/*', async (request, reply) => {
    const query = stringsOf(request.query);
    const page = await debug(
      request.params['*'],
      query,
      plainHost(request.socket.remoteAddress ?? ''),
      request.headers.authorization,
    );
    if (page === undefined) return reply.code(404).type('text/plain').send('404 page not found\n');
    if ('json' in page)
      return reply
        .type('application/json')
        .send(JSON.stringify(page.json, undefined, 'pretty' in query ? 2 : undefined));
    return reply
      .code(page.status ?? 200)
      .type(page.type)
      .send(page.text);
  });
  server.get('/debug', async (request, reply) => {
    const page = await debug('', {}, plainHost(request.socket.remoteAddress ?? ''), request.headers.authorization);
    if (page === undefined || 'json' in page) return reply.code(404).send();
    return reply
      .code(page.status ?? 200)
      .type(page.type)
      .send(page.text);
  });
}

function stringsOf(query: unknown): PageQuery {
  if (typeof query !== 'object' || query === null) return {};
  return Object.fromEntries(
    Object.entries(query).map(([name, value]) => [name, Array.isArray(value) ? String(value[0]) : String(value)]),
  );
}
