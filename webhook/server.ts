// The webhooks' HTTPS server: /inject, /validate and /ready, for calls from the API server.

import type { Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { injectAdmitted } from './admit.ts';
import type { ClusterView, InjectionSettings } from './context.ts';
import { proxyEnvOf } from './inject-url.ts';
import type { WebhookMetrics } from './metrics.ts';
import type { Pod } from './pod.ts';
import { podShapeProblem } from './pod-shape.ts';
import {
  type AdmissionAnswer,
  type AdmissionRequest,
  answerText,
  isPodRequest,
  parseReview,
  reviewLimits,
} from './review.ts';
import { withoutSchemas } from './server-schemas.ts';
import { answerValidation, type Validators } from './validate.ts';
import { podNameOf } from './workload-meta.ts';

/** A server certificate with its key, both PEM; the chain has the leaf first. */
export type ServerCertificate = Required<Pick<SecureContextOptions, 'cert' | 'key'>>;

/** What the webhooks answer from. `settings` and `cluster` are asked at each call, so that changes count at once. */
export interface WebhookHandlers {
  /** Undefined while the injector's configuration has not been read: calls are refused with 503. */
  readonly settings: () => InjectionSettings | undefined;
  /** Why there are none, for whoever wants to create a pod meanwhile. */
  readonly unreadable?: () => string;
  readonly cluster: ClusterView;
  readonly validators: Validators;
  readonly metrics: WebhookMetrics;
  /** Monotonic seconds, for durations. */
  readonly now: () => number;
  /** Told about each answer that refuses something, without the object. */
  readonly log?: (event: WebhookEvent) => void;
}

/** A refusal worth a log line. */
export interface WebhookEvent {
  readonly webhook: 'inject' | 'validate';
  readonly namespace: string;
  readonly name: string;
  readonly message: string;
}

export interface WebhookServerOptions extends WebhookHandlers {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly certificate: ServerCertificate;
  /** How long a client may take for the headers and for a whole request, in milliseconds. Default 5 s and 15 s. */
  readonly headersTimeout?: number;
  readonly requestTimeout?: number;
  /** Connections at a time; further ones are cut off at once. Default 1,000: an API server has one for each call under way. */
  readonly maxConnections?: number;
}

/** A running server. */
export interface WebhookServer extends AsyncDisposable {
  readonly port: number;
  /** Uses another certificate for handshakes from now on; open connections end with the answer to their next call. */
  rotate(certificate: ServerCertificate): void;
  /** Answers what is under way, then closes. */
  close(): Promise<void>;
}

/** Starts the server; it accepts connections once the promise is fulfilled. Rejects where the port is taken. */
export async function startWebhookServer(options: WebhookServerOptions): Promise<WebhookServer> {
  const { cert, key } = options.certificate;
  const app = fastify({
    ...limits(options),
    ...withoutSchemas,
    https: {
      cert,
      key,
      minVersion: 'TLSv1.2',
      handshakeTimeout: options.headersTimeout ?? 5_000,
      headersTimeout: options.headersTimeout ?? 5_000,
      requestTimeout: options.requestTimeout ?? 15_000,
      connectionsCheckingInterval: 1_000,
    },
  });
  app.get('/ready', async (_request, reply) => reply.code(options.settings() === undefined ? 503 : 200).send());
  webhookRoutes(app as unknown as FastifyInstance, options);
  const server = app.server as Server;
  server.maxConnections = options.maxConnections ?? 1_000;
  // None once the server closes.
  let current: ServerCertificate | undefined = options.certificate;
  const greetedWith = new Map<Socket, ServerCertificate | undefined>();
  const answering = new Set<Socket>();
  server.on('secureConnection', (socket) => {
    greetedWith.set(socket, current);
    socket.once('close', () => {
      greetedWith.delete(socket);
      answering.delete(socket);
    });
  });
  app.addHook('onRequest', async (request) => void answering.add(request.raw.socket));
  app.addHook('onResponse', async (request) => void answering.delete(request.raw.socket));
  app.addHook('onSend', async (request, reply) => {
    // The caller is told, so that it loses no call on its way: closing an idle connection could.
    if (greetedWith.get(request.raw.socket) !== current) reply.header('connection', 'close');
  });
  await app.listen({ host: options.host, port: options.port });
  const close = async () => {
    current = undefined;
    const closed = app.close();
    // Node waits for connections on which nothing was ever asked, and no longer looks at its own time limits.
    for (const socket of greetedWith.keys()) if (!answering.has(socket)) socket.destroy();
    const limit = setTimeout(() => server.closeAllConnections(), options.requestTimeout ?? 15_000);
    await closed;
    clearTimeout(limit);
  };
  return {
    port: (server.address() as AddressInfo).port,
    rotate: (certificate) => {
      current = certificate;
      server.setSecureContext({ ...certificate, minVersion: 'TLSv1.2' });
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function limits(options: WebhookServerOptions) {
  return {
    requestTimeout: options.requestTimeout ?? 15_000,
    // Longer than an API server keeps an idle connection (90 s), which else might call just when it is being closed.
    keepAliveTimeout: 120_000,
    // Idle connections are cut at once on close; requests under way are answered.
    forceCloseConnections: 'idle' as const,
    routerOptions: { maxParamLength: 4_096 },
  };
}

/**
 * Adds the webhooks to a server that has routes of its own, without TLS because something in front ends it. What they
 * take and how they fail is theirs alone; times and connections are the server's to bound.
 */
export function addWebhooks(app: FastifyInstance, handlers: WebhookHandlers): void {
  app.register(async (scope) => webhookRoutes(scope, handlers));
}

function webhookRoutes(app: FastifyInstance, handlers: WebhookHandlers): void {
  const { bytes: bodyLimit } = reviewLimits;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(/^application\/json(;|$)/, { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
  app.setErrorHandler((error: { statusCode?: number }, request, reply) => {
    const status = error.statusCode ?? 500;
    handlers.metrics.httpError(webhookOf(request.url), status);
    const text = status === 413 ? 'the body is too large' : status === 415 ? 'the body must be application/json' : '';
    return reply
      .code(status)
      .type('text/plain')
      .send(text === '' ? 'the request could not be answered' : text);
  });
  for (const path of ['/inject', '/inject/*']) {
    app.post(path, { bodyLimit }, async (request, reply) => answer(request, reply, handlers, 'inject', injectAnswer));
  }
  for (const path of ['/validate', '/validate/*']) {
    app.post(path, { bodyLimit }, async (request, reply) =>
      answer(request, reply, handlers, 'validate', validateAnswer),
    );
  }
}

function webhookOf(url: string): 'inject' | 'validate' {
  return url.startsWith('/validate') ? 'validate' : 'inject';
}

/** Either an answer or the reason why the call cannot be answered. */
type Outcome = AdmissionAnswer | { readonly status: number; readonly problem: string };

type Answerer = (request: AdmissionRequest, path: string, handlers: WebhookHandlers) => Outcome | Promise<Outcome>;

async function answer(
  http: FastifyRequest,
  reply: FastifyReply,
  handlers: WebhookHandlers,
  webhook: 'inject' | 'validate',
  decide: Answerer,
): Promise<FastifyReply> {
  const refuse = (status: number, message: string) => {
    handlers.metrics.httpError(webhook, status);
    return reply.code(status).type('text/plain').send(message);
  };
  if (!Buffer.isBuffer(http.body)) return refuse(400, 'no body found');
  const parsed = parseReview(http.body.toString('utf8'));
  if ('problem' in parsed) return refuse(parsed.problem.status, parsed.problem.message);
  const { request } = parsed;
  const outcome = await decide(request, decodedPath(http.url), handlers);
  if ('problem' in outcome) return refuse(outcome.status, outcome.problem);
  if (!outcome.allowed) {
    const { namespace, name } = request;
    handlers.log?.({ webhook, namespace, name, message: outcome.message ?? '' });
  }
  return reply.code(200).type('application/json').send(answerText(request, outcome));
}

// The API server adds a query (`?timeout=10s`) that is no part of the path.
function decodedPath(url: string): string {
  const path = url.split('?')[0] ?? '';
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function injectAnswer(request: AdmissionRequest, path: string, handlers: WebhookHandlers): Outcome {
  const start = handlers.now();
  const { metrics } = handlers;
  const done = (kind: 'success' | 'failure' | 'skip', outcome: Outcome) => {
    metrics.injected(kind, handlers.now() - start);
    return outcome;
  };
  const settings = handlers.settings();
  if (settings === undefined) {
    const why = handlers.unreadable?.() ?? '';
    return { status: 503, problem: `the injector has no configuration yet${why === '' ? '' : `: ${why}`}` };
  }
  if (request.operation !== 'CREATE') return done('skip', { allowed: true });
  if (!isPodRequest(request)) {
    const { group, kind } = request.kind;
    const what = `${kind || 'nothing'}${group === '' ? '' : `.${group}`}`;
    return done('failure', { allowed: false, message: `expected a Pod of the core group, got ${what}` });
  }
  const env = proxyEnvOf(path);
  if ('problem' in env) return done('failure', { status: 400, problem: env.problem });
  const pod = request.object as Pod;
  const malformed = podShapeProblem(pod);
  if (malformed !== undefined)
    return done('failure', { allowed: false, message: `the pod is malformed: ${malformed}` });
  const result = injectAdmitted({ pod, namespace: request.namespace, proxyEnv: env.env }, settings, handlers.cluster);
  if (result.kind === 'skipped') return done('skip', { allowed: true });
  if (result.kind === 'injected') return done('success', { allowed: true, patch: result.patch });
  const about = `failed to inject pod ${request.namespace}/${podNameOf(pod)}`;
  return done('failure', { allowed: false, message: `${about}: ${result.problems.join('; ')}` });
}

function validateAnswer(request: AdmissionRequest, _path: string, handlers: WebhookHandlers): Promise<Outcome> {
  return answerValidation(request, handlers.validators, handlers.metrics);
}
