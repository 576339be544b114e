// The debug pages by path, one table for HTTP (`/debug/<path>`) and xDS (`istio.io/debug`): contract 2.2 and 2.3.
import { create, toBinary, toJson } from '@bufbuild/protobuf';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import type { DebugAnswer } from '../xds/host.ts';
import type { Publisher } from '../xds/publisher.ts';
import type { AnswerDebug } from '../xds/publisher-options.ts';
import type { XdsStream } from '../xds/stream.ts';
import type { ResourceType } from '../xds-types.ts';
import { accessOf, type DebugAccess, type DebugCaller } from './access.ts';
import { anyOf, configDump, dumpTypes, resourcesOf } from './config-dump.ts';
import { adszJson, connectionsJson, findStream } from './streams.ts';
import { statusOf } from './sync-status.ts';
import { synczAnys, synczJson } from './syncz.ts';

/** What a page answers. */
export type DebugPage =
  | { readonly json: unknown }
  | { readonly text: string; readonly type: string; readonly status?: number };

/** Query parameters by name. */
export type DebugQuery = Readonly<Record<string, string>>;

/** What the pages need of whoever composes the server. */
export interface DebugOptions {
  readonly publisher: () => Publisher;
  /** Namespaces whose workloads may see everything: the root namespace and those the operator allowed. */
  readonly systemNamespaces: readonly string[];
  /** JSON that names this replica in answers to `syncz` (contract 1.9.7). */
  readonly controlPlane: () => string;
  /** Pages about other parts, by path; each gives JSON. */
  readonly more?: ReadonlyMap<string, (query: DebugQuery) => unknown>;
  /** Whether callers need an identity. Default true; without, anybody sees everything (ENABLE_DEBUG_ENDPOINT_AUTH). */
  readonly requireIdentity?: boolean;
  /** Whether there are pages at all; `syncz` and `config_dump` have types of their own and stay. Default true. */
  readonly hasPages?: boolean;
}

/** The pages, and the answers over xDS. */
export interface Debug {
  /** The page under `/debug/`; undefined where there is none of the name. */
  readonly page: (path: string, query: DebugQuery, caller: DebugCaller) => Promise<DebugPage | undefined>;
  readonly answer: AnswerDebug;
}

const missingProxy: DebugPage = {
  text: 'You must provide a proxyID in the query string\n',
  type: 'text/plain',
  status: 400,
};
const unknownProxy: DebugPage = {
  text: 'Proxy not connected to this Pilot instance. It may be connected to another instance.\n',
  type: 'text/plain',
  status: 404,
};

/** Builds the debug pages. */
export function createDebug(options: DebugOptions): Debug {
  const system = new Set(options.systemNamespaces);
  return {
    page: async (path, query, caller) => {
      const access = accessOf(believed(options, caller), path, system);
      if (access.kind === 'unauthenticated') return { text: 'unauthenticated\n', type: 'text/plain', status: 401 };
      if (access.kind === 'denied') return { text: 'not allowed\n', type: 'text/plain', status: 403 };
      return pageOf(options, path, query, access);
    },
    answer: (stream, typeUrl, names) => answerOver(options, system, stream, typeUrl, names),
  };
}

/** Where nobody needs an identity, everybody is like somebody on this machine. */
function believed({ requireIdentity }: DebugOptions, caller: DebugCaller): DebugCaller {
  return requireIdentity === false ? { kind: 'local' } : caller;
}

type PageMaker = (publisher: Publisher, query: DebugQuery, access: DebugAccess) => Promise<DebugPage> | DebugPage;

const pages: Readonly<Record<string, PageMaker>> = {
  adsz: (publisher, query) => {
    if (query['push'] !== 'true') return { json: adszJson(publisher.streams) };
    void publisher.apply(() => undefined);
    return { text: `Pushed to ${publisher.streams.size} servers\n`, type: 'text/plain' };
  },
  connections: ({ streams }) => ({ json: connectionsJson(streams) }),
  syncz: ({ streams }, _query, access) => ({ json: synczJson(visible(streams, access)) }),
  cachez: (publisher) => ({ json: cachezJson(publisher) }),
  config_dump: (publisher, query, access) =>
    aboutProxy(publisher, query, access, async (stream) => {
      const types = query['types']?.split(',').flatMap((name) => dumpTypes.get(name) ?? []);
      const withEndpoints = 'include_eds' in query || types?.includes('endpoint') === true;
      const anys = await configDump(stream, types === undefined ? undefined : new Set(types), withEndpoints);
      return { configs: await renderAll(anys) };
    }),
  edsz: (publisher, query, access) => aboutProxy(publisher, query, access, (s) => renderType(s, 'endpoint')),
  ndsz: (publisher, query, access) => aboutProxy(publisher, query, access, (s) => renderType(s, 'nameTable')),
};

async function pageOf(
  options: DebugOptions,
  path: string,
  query: DebugQuery,
  access: DebugAccess,
): Promise<DebugPage | undefined> {
  if (options.hasPages === false) return undefined;
  const names = [...Object.keys(pages), ...(options.more?.keys() ?? [])].sort();
  if (path === '') return { text: indexHtml(names), type: 'text/html; charset=utf-8' };
  if (path === 'list') return { json: names.map((name) => `/debug/${name}`) };
  const make = Object.hasOwn(pages, path) ? pages[path] : undefined;
  if (make !== undefined) return make(options.publisher(), query, access);
  const more = options.more?.get(path);
  return more === undefined ? undefined : { json: await more(query) };
}

async function aboutProxy(
  { streams }: Publisher,
  query: DebugQuery,
  access: DebugAccess,
  make: (stream: XdsStream) => Promise<unknown>,
): Promise<DebugPage> {
  const proxyId = query['proxyID'] ?? '';
  if (proxyId === '') return missingProxy;
  const stream = findStream(streams, proxyId);
  if (stream === undefined) return unknownProxy;
  if (access.kind === 'namespace' && stream.proxy?.namespace !== access.namespace) return unknownProxy;
  return { json: await make(stream) };
}

function visible(streams: Iterable<XdsStream>, access: DebugAccess): ReturnType<typeof statusOf> {
  const statuses = statusOf(streams);
  return access.kind === 'namespace' ? statuses.filter(({ namespace }) => namespace === access.namespace) : statuses;
}

async function renderType(stream: XdsStream, type: ResourceType): Promise<unknown> {
  return renderAll(resourcesOf(stream, type).map(anyOf));
}

async function renderAll(anys: readonly Any[]): Promise<readonly unknown[]> {
  // Loaded when asked for: it holds every message of Envoy's API.
  const { registry } = await import('../../protos/registry.ts');
  return anys.map((any) => toJson(AnySchema, any, { registry, useProtoFieldName: true }));
}

function cachezJson(publisher: Publisher): unknown {
  const views = publisher.views.all().map((view) => ({
    type: view.type,
    flavour: view.client.flavour,
    streams: view.viewers.size,
    resources: view.size,
  }));
  return { resources: publisher.views.resources, cells: publisher.graph.size, counts: publisher.counts, views };
}

function indexHtml(names: readonly string[]): string {
  const rows = names.map((name) => `<li><a href="/debug/${encodeURI(name)}">/debug/${name}</a></li>`).join('\n');
  return `<!doctype html>\n<title>debug</title>\n<h1>Debug pages</h1>\n<ul>\n${rows}\n</ul>\n`;
}

async function answerOver(
  options: DebugOptions,
  system: ReadonlySet<string>,
  stream: XdsStream,
  typeUrl: string,
  names: readonly string[],
): Promise<DebugAnswer> {
  const { identity } = stream;
  const caller = believed(options, identity === undefined ? { kind: 'unknown' } : { kind: 'identified', identity });
  const { streams } = options.publisher();
  if (typeUrl === 'istio.io/debug/syncz') {
    const access = namespaceAccess(caller, system);
    if (access.kind === 'unauthenticated') return refusal;
    return { anys: await synczAnys(visible(streams, access)), controlPlane: options.controlPlane() };
  }
  const [wanted = ''] = names;
  if (typeUrl === 'istio.io/debug/config_dump') {
    const access = namespaceAccess(caller, system);
    if (access.kind === 'unauthenticated') return refusal;
    const found = findStream(streams, wanted);
    if (found === undefined || (access.kind === 'namespace' && found.proxy?.namespace !== access.namespace)) {
      return { anys: [] };
    }
    return { anys: (await configDump(found, undefined, false)).map((any) => toBinary(AnySchema, any)) };
  }
  if (typeUrl !== 'istio.io/debug') return { anys: [] };
  if (names.length !== 1) return { status: 'INVALID_ARGUMENT', message: 'exactly one debug request must be named' };
  return answerPage(options, system, caller, wanted);
}

async function answerPage(
  options: DebugOptions,
  system: ReadonlySet<string>,
  caller: DebugCaller,
  wanted: string,
): Promise<DebugAnswer> {
  const [path = '', search = ''] = wanted.split('?', 2);
  const access = accessOf(caller, path, system);
  if (access.kind === 'unauthenticated') return refusal;
  if (access.kind === 'denied') return { status: 'PERMISSION_DENIED', message: 'not allowed to see this page' };
  const query = Object.fromEntries(new URLSearchParams(search));
  const page = (await pageOf(options, path, query, access)) ?? { text: '404 page not found\n', type: 'text/plain' };
  const body = 'json' in page ? JSON.stringify(page.json) : page.text;
  return { anys: [toBinary(AnySchema, create(AnySchema, { typeUrl: 'istio.io/debug', value: Buffer.from(body) }))] };
}

const refusal: DebugAnswer = { status: 'UNAUTHENTICATED', message: 'debug requests need an identity' };

// Everybody may see the status of proxies of the own namespace.
function namespaceAccess(caller: DebugCaller, system: ReadonlySet<string>): DebugAccess {
  return accessOf(caller, 'config_dump', system);
}
