// Requests to a Kubernetes API server: single ones with bounded answers, and watches as a stream of events.

import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import type { KubeAccess } from './kube-config.ts';

/** An answer; error statuses are answers too. */
export interface KubeAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** One event of a watch, undecoded. */
export interface WatchEvent {
  readonly type: string;
  readonly object: unknown;
}

/** How a watch ended: its stream closed, or it was answered with an error status. */
export type WatchEnd = { readonly status: number; readonly message: string };

/** The API server. Disposed, it ends what is under way, and sends nothing any more. */
export interface KubeApi extends Disposable {
  readonly origin: string;
  /** One request. Rejects where no answer came, nothing was heard for a minute, or by the signal. */
  readonly send: (
    method: string,
    path: string,
    body?: unknown,
    contentType?: string,
    signal?: AbortSignal,
  ) => Promise<KubeAnswer>;
  /**
   * Follows a path with `watch=1`. Events arrive in the batches in which the network brought them; ends when the stream
   * does, when nothing was heard for `idleMs`, or by the signal. `onOpen` is called once the server agreed to it.
   * Rejects where no answer came, or the stream broke.
   */
  readonly watch: (
    path: string,
    onEvents: (events: readonly WatchEvent[]) => void,
    signal: AbortSignal,
    idleMs: number,
    onOpen?: () => void,
  ) => Promise<WatchEnd>;
}

const answerLimit = 512 * 1024 * 1024;
const eventLimit = 16 * 1024 * 1024;
const timeoutMs = 60_000;
/** In which a watch must be agreed to. */
const openMs = 30_000;

/** Opens a client. Nothing is sent before the first request. */
export function openKubeApi(access: KubeAccess): KubeApi {
  const agent = new Agent({ ...access.tls, keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const end = new AbortController();
  const open = async (
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<ClientRequest> => {
    const { authorization, ...certificate } = await unlessStopped(access.credential(), signal);
    const call = request(`${access.server}${path}`, {
      method,
      agent,
      // The agent keeps connections with different certificates apart.
      ...certificate,
      headers: {
        // The keys of service-account tokens are served as a JWK Set only.
        accept: 'application/json, application/jwk-set+json;q=0.5',
        'user-agent': 'meltemi',
        ...headers,
        ...(authorization === undefined ? {} : { authorization }),
      },
    });
    call.once('response', ({ statusCode }) => {
      if (statusCode === 401) access.refused();
    });
    return call;
  };
  const origin = `${access.server} (${access.origin})`;
  // Whoever reads the message need not know which server was meant.
  const reached = async <T>(answer: Promise<T>): Promise<T> =>
    answer.catch((error: unknown) => {
      throw new Error(`${origin}: ${reasonOf(error)}`, { cause: error });
    });
  const requests: Pick<KubeApi, 'send' | 'watch'> = {
    send: async (method, path, body, contentType = 'application/json', signal = undefined) => {
      const data = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
      const headers = data === undefined ? {} : { 'content-type': contentType, 'content-length': String(data.length) };
      const stop = signal === undefined ? end.signal : AbortSignal.any([signal, end.signal]);
      return stoppable(await open(method, path, headers, stop), stop, timeoutMs, async (call) => {
        const answered = answerOf(call);
        call.end(data);
        const answer = await answered;
        return { status: answer.statusCode ?? 0, body: parseJson(await textOf(answer)) };
      });
    },
    watch: async (path, onEvents, signal, idleMs, onOpen) => {
      const stop = AbortSignal.any([signal, end.signal]);
      const call = await open('GET', path, {}, stop);
      const watching = stoppable(call, stop, Math.min(idleMs, openMs), async () => {
        const answered = answerOf(call);
        call.end();
        const answer = await answered;
        const status = answer.statusCode ?? 0;
        if (status !== 200) return { status, message: messageOf(await textOf(answer)) };
        onOpen?.();
        let silent = false;
        call.removeAllListeners('timeout').setTimeout(idleMs, () => {
          silent = true;
          answer.destroy();
        });
        await readEvents(answer, onEvents).catch((error: unknown) => {
          if (!silent) throw error;
        });
        return { status, message: silent ? `nothing heard for ${idleMs / 1000} s` : 'the stream ended' };
      });
      // What was not read to its end is of no use to another call.
      return watching.finally(() => call.destroy());
    },
  };
  return {
    origin,
    send: (...call) => reached(requests.send(...call)),
    watch: (...call) => reached(requests.watch(...call)),
    [Symbol.dispose]: () => {
      end.abort();
      agent.destroy();
    },
  };
}

/** Why there is no answer; where several addresses were tried, why not by each. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(', ');
  return error instanceof Error ? error.message : String(error);
}

/** Waits for something that cannot be stopped itself. */
function unlessStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const stop = (): void => reject(new Error('stopped'));
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  work.then(resolve, reject);
  return promise.finally(() => signal.removeEventListener('abort', stop));
}

/**
 * Runs a call that ends by itself, by the signal, or when nothing was heard for a time. The socket may serve the next
 * call already when that happens, so the reason is kept here and never given to the socket, where nobody would catch it.
 */
async function stoppable<T>(
  call: ClientRequest,
  signal: AbortSignal,
  silenceMs: number,
  run: (call: ClientRequest) => Promise<T>,
): Promise<T> {
  let reason: Error | undefined;
  const stop = (why: string): void => {
    reason ??= new Error(why);
    call.destroy();
  };
  const abort = (): void => stop('stopped');
  signal.addEventListener('abort', abort, { once: true });
  call.setTimeout(silenceMs, () => stop(`nothing heard for ${silenceMs / 1000} s`));
  try {
    if (signal.aborted) stop('stopped');
    const result = await run(call);
    if (reason !== undefined) throw reason;
    return result;
  } catch (error) {
    throw reason ?? error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function answerOf(call: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    call.once('response', resolve);
    call.on('error', reject);
  });
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer) {
    size += (chunk as Buffer).length;
    if (size > answerLimit) throw new Error('the answer is too large');
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * Splits a stream of JSON lines. A line that is too long, or no event, ends the watch: nothing after it could be trusted.
 * For one that is no event the API server's own way to say that a watch cannot go on is handed on.
 */
async function readEvents(answer: IncomingMessage, onEvents: (events: readonly WatchEvent[]) => void): Promise<void> {
  let rest: Buffer[] = [];
  let pending = 0;
  for await (const part of answer) {
    const chunk = part as Buffer;
    const last = chunk.lastIndexOf(0x0a);
    if (last < 0) {
      rest.push(chunk);
      pending += chunk.length;
      if (pending > eventLimit) throw new Error('an event is too large');
      continue;
    }
    const text = Buffer.concat([...rest, chunk.subarray(0, last)]).toString('utf8');
    rest = [chunk.subarray(last + 1)];
    pending = chunk.length - last - 1;
    const events = text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => parseJson(line) as WatchEvent);
    const bad = events.findIndex((event) => typeof event?.type !== 'string');
    onEvents(bad < 0 ? events : [...events.slice(0, bad), noEvent]);
    if (bad >= 0) return;
  }
}

const noEvent: WatchEvent = { type: 'ERROR', object: { message: 'a line of the watch is no event' } };

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { message: text.slice(0, 500) };
  }
}

function messageOf(text: string): string {
  const { message } = parseJson(text) as { message?: unknown };
  return typeof message === 'string' ? message.slice(0, 500) : text.slice(0, 500);
}
