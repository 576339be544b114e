// The webhooks over real HTTPS: right answers, right refusals, bounded bad clients, and certificates that change.
import { request as httpRequest } from 'node:http';
import { Agent, type RequestOptions, request } from 'node:https';
import { connect as netConnect } from 'node:net';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import { applyPatch } from 'rfc6902';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { validateObject } from '../config/validate.ts';
import { emptyCluster, selfSigned, testPod, testSettings } from '../test/support/webhook.ts';
import { startWebhookServer, type WebhookServer, type WebhookServerOptions } from './server.ts';

interface Answer {
  readonly status: number;
  readonly body: string;
  /** The common name of the server's certificate. */
  readonly peer: unknown;
}

const certificate = selfSigned('first.test');
const counted: string[] = [];
let server: WebhookServer;

const options: WebhookServerOptions = {
  host: '127.0.0.1',
  port: 0,
  certificate,
  headersTimeout: 1_000,
  requestTimeout: 2_000,
  settings: () => testSettings(),
  cluster: emptyCluster,
  validators: { object: (raw) => validateObject(raw, { unknown: 'ignore' }) },
  now: () => performance.now() / 1_000,
  metrics: {
    injected: (outcome, seconds) => counted.push(`${outcome} ${seconds >= 0}`),
    validated: (resource, outcome) => counted.push(`${resource.resource} ${outcome}`),
    httpError: (webhook, status) => counted.push(`${webhook} ${status}`),
  },
};

beforeAll(async () => {
  server = await startWebhookServer(options);
});

afterAll(() => server.close());

function send(path: string, body: string | Buffer, options: RequestOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: '127.0.0.1',
        port: server.port,
        path,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        rejectUnauthorized: false,
        ...options,
      },
      (response) => {
        const peer = (response.socket as TLSSocket).getPeerCertificate().subject?.CN;
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text, peer }));
        response.on('error', reject);
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}

interface Drip {
  readonly every: number;
  readonly text: string;
}

/** Says something over TLS and hears until the server closes. `drip` is said again and again until then. */
function converse(headers: string, body: readonly Buffer[], drip?: Drip): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    let dripping: NodeJS.Timeout | undefined;
    const socket = tlsConnect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false }, () => {
      socket.write(headers);
      for (const part of body) socket.write(part);
      if (drip !== undefined) dripping = setInterval(() => socket.write(drip.text), drip.every);
    });
    const end = () => {
      clearInterval(dripping);
      socket.destroy();
      resolve(heard);
    };
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      heard += text;
      // The server need not close at once what it has answered; a whole answer is what counts.
      if (/\r\n\r\n.+/s.test(heard)) end();
    });
    socket.on('error', () => undefined);
    socket.on('close', end);
  });
}

function review(object: unknown, change: Record<string, unknown> = {}): string {
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'u-1',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace: 'shop',
      operation: 'CREATE',
      object,
      ...change,
    },
  });
}

const gateway = (port: unknown) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'Gateway',
  metadata: { name: 'g', namespace: 'shop' },
  spec: { selector: { a: 'b' }, servers: [{ port: { number: port, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }] },
});

const gatewayRequest = {
  kind: { group: 'networking.istio.io', version: 'v1', kind: 'Gateway' },
  resource: { group: 'networking.istio.io', version: 'v1', resource: 'gateways' },
};

async function responseOf(path: string, body: string) {
  const { status, body: text } = await send(path, body);
  expect(status).toBe(200);
  return JSON.parse(text);
}

describe('/inject', () => {
  test('answers with a patch that gives the pod a proxy', async () => {
    const answer = await responseOf('/inject/cluster/west?timeout=10s', review(testPod()));
    expect(answer).toMatchObject({
      kind: 'AdmissionReview',
      apiVersion: 'admission.k8s.io/v1',
      response: { uid: 'u-1', allowed: true, patchType: 'JSONPatch' },
    });
    const pod = structuredClone(testPod()) as {
      spec: { containers: { name: string; env: { name: string; value: string }[] }[] };
    };
    applyPatch(pod, JSON.parse(Buffer.from(answer.response.patch, 'base64').toString()));
    const proxy = pod.spec.containers.find((container) => container.name === 'istio-proxy');
    expect(proxy?.env.find((v) => v.name === 'ISTIO_META_CLUSTER_ID')?.value).toBe('west');
  });

  test('answers v1beta1 in v1beta1', async () => {
    const body = review(testPod()).replace('admission.k8s.io/v1', 'admission.k8s.io/v1beta1');
    expect((await responseOf('/inject', body)).apiVersion).toBe('admission.k8s.io/v1beta1');
  });

  test('lets pass what is not to be injected, and other operations', async () => {
    const off = await responseOf('/inject', review(testPod({}, { 'sidecar.istio.io/inject': 'false' })));
    expect(off.response).toEqual({ uid: 'u-1', allowed: true });
    const removed = await responseOf('/inject', review(undefined, { operation: 'DELETE' }));
    expect(removed.response).toEqual({ uid: 'u-1', allowed: true });
  });

  test.each<[string, unknown, Record<string, unknown>]>([
    ['another kind', { spec: {} }, { kind: { group: 'apps', version: 'v1', kind: 'Deployment' } }],
    ['no object', undefined, {}],
    ['containers that are none', { spec: { containers: [1] } }, {}],
    ['a bad annotation', testPod({ 'sidecar.istio.io/interceptionMode': 'a\nb: c' }), {}],
    ['labels that are numbers', { metadata: { labels: { a: 1 } }, spec: {} }, {}],
  ])('refuses %s without a patch', async (_name, object, change) => {
    const { response } = await responseOf('/inject', review(object, change));
    expect(response.allowed).toBe(false);
    expect(response.patch).toBeUndefined();
    expect(response.status).toMatchObject({ status: 'Failure', code: 400 });
  });

  test('injects a pod of 200 containers', async () => {
    const containers = Array.from({ length: 200 }, (_, i) => ({ name: `c${i}`, image: 'x' }));
    const { response } = await responseOf('/inject', review({ ...testPod(), spec: { containers } }));
    expect(response.allowed).toBe(true);
  });
});

describe('/validate', () => {
  test('allows the sound, refuses the unsound with the field, passes what it does not know', async () => {
    const sound = await responseOf('/validate', review(gateway(80), gatewayRequest));
    expect(sound.response).toMatchObject({ allowed: true });
    const unsound = await responseOf('/validate', review(gateway(80_000), gatewayRequest));
    expect(unsound.response.allowed).toBe(false);
    expect(unsound.response.status.message).toMatch(/configuration is invalid.*port/s);
    const unknown = await responseOf('/validate', review({ apiVersion: 'x.y/v1', kind: 'Z', metadata: { name: 'z' } }));
    expect(unknown.response.allowed).toBe(true);
  });

  test('allows an object whose name is yet to be generated', async () => {
    const { spec, ...rest } = gateway(80);
    const object = { ...rest, metadata: { generateName: 'g-', namespace: 'shop' }, spec };
    expect((await responseOf('/validate', review(object, gatewayRequest))).response.allowed).toBe(true);
  });

  test('passes deletions, and refuses what asks for it', async () => {
    const deleted = await responseOf('/validate', review(undefined, { ...gatewayRequest, operation: 'DELETE' }));
    expect(deleted.response.allowed).toBe(true);
    const probe = gateway(80);
    const annotations = { 'internal.istio.io/webhook-always-reject': 'true' };
    const asked = { ...probe, metadata: { ...probe.metadata, annotations } };
    expect((await responseOf('/validate', review(asked, { ...gatewayRequest, dryRun: true }))).response.allowed).toBe(
      false,
    );
  });
});

describe('bad calls', () => {
  test.each<[string, string | Buffer, RequestOptions, number]>([
    ['an empty body', '', {}, 400],
    ['text', 'hello', {}, 400],
    ['another object', '{"kind":"Pod"}', {}, 400],
    ['an unknown version', review(testPod()).replace('k8s.io/v1', 'k8s.io/v7'), {}, 400],
    ['no uid', review(testPod()).replace('"u-1"', '""'), {}, 400],
    ['1,000 levels', review(JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`)), {}, 400],
    ['another content type', review(testPod()), { headers: { 'content-type': 'application/xml' } }, 415],
    ['another method', '', { method: 'PUT' }, 404],
    ['a variable that is none', review(testPod()), { path: '/inject/a%20b/c' }, 400],
  ])('of %s gets its code', async (_name, body, options, status) => {
    expect((await send('/inject', body, options)).status).toBe(status);
    expect((await send('/ready', '', { method: 'GET' })).status).toBe(200);
  });

  const megabyte = Buffer.alloc(1024 * 1024, 0x20);
  const chunk = Buffer.concat([Buffer.from('100000\r\n'), megabyte, Buffer.from('\r\n')]);

  test.each<[string, string, readonly Buffer[]]>([
    ['a length', 'Content-Length: 10485760', []],
    ['chunks', 'Transfer-Encoding: chunked', Array.from({ length: 7 }, () => chunk)],
  ])('of 10 MB, said by %s, get 413', async (_name, header, parts) => {
    const answer = await converse(
      `POST /inject HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${header}\r\n\r\n`,
      parts,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 .*the body is too large$/s);
    expect((await send('/ready', '', { method: 'GET' })).status).toBe(200);
  });

  test('of plain HTTP are cut off', async () => {
    const outcome = await new Promise<string>((resolve) => {
      const call = httpRequest({ host: '127.0.0.1', port: server.port, path: '/ready' }, () => resolve('answered'));
      call.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      call.end();
    });
    expect(outcome).toBe('ECONNRESET');
    expect((await send('/ready', '', { method: 'GET' })).status).toBe(200);
  });

  test('by a client that never finishes its body get 408', async () => {
    const dripping: Drip = { every: 100, text: ' ' };
    const headers =
      'POST /inject HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n';
    expect(await converse(headers, [], dripping)).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('by more connections than are allowed are cut off, and others go on', async () => {
    await using small = await startWebhookServer({ ...options, maxConnections: 2 });
    const open = () => tlsConnect({ host: '127.0.0.1', port: small.port, rejectUnauthorized: false });
    const held = [open(), open()];
    await Promise.all(held.map((socket) => new Promise((resolve) => socket.once('secureConnect', resolve))));
    const third = open();
    expect(await new Promise((resolve) => third.once('error', () => resolve('cut off')))).toBe('cut off');
    held[0]?.destroy();
    await expect
      .poll(() => send('/ready', '', { method: 'GET', port: small.port }).catch(() => undefined))
      .toMatchObject({
        status: 200,
      });
    held[1]?.destroy();
  });

  test('by a client that never finishes its headers or handshake are cut off', async () => {
    const options = { host: '127.0.0.1', port: server.port, rejectUnauthorized: false };
    const slow = tlsConnect(options, () => slow.write('POST /inject HTTP/1.1\r\nHost: a\r\nX-'));
    const silent = netConnect(server.port, '127.0.0.1');
    slow.on('error', () => {});
    silent.on('error', () => {});
    const closed = [slow, silent].map(
      (socket) => new Promise((resolve) => socket.once('close', () => resolve('closed'))),
    );
    slow.resume();
    silent.resume();
    expect(await Promise.all(closed)).toEqual(['closed', 'closed']);
  });
});

test('closes at once, whoever is connected, and answers what is under way', async () => {
  const asked = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<readonly []>();
  const object = () => {
    asked.resolve();
    return answered.promise;
  };
  const closing = await startWebhookServer({ ...options, validators: { object } });
  const at = { host: '127.0.0.1', port: closing.port, rejectUnauthorized: false };
  // As an API server opens one that it then does not need.
  const silent = tlsConnect(at);
  silent.on('error', () => undefined);
  await new Promise((resolve) => silent.once('secureConnect', resolve));
  const call = send('/validate', review(gateway(80), gatewayRequest), { port: closing.port });
  await asked.promise;
  const closed = closing.close();
  await new Promise((resolve) => silent.once('close', resolve));
  answered.resolve([]);
  expect((await call).status).toBe(200);
  await closed;
}, 4_000);

test('counts what happened', () => {
  expect(counted).toEqual(expect.arrayContaining(['success true', 'skip true', 'failure true', 'gateways failed']));
  expect(counted).toEqual(expect.arrayContaining(['inject 413', 'inject 415', 'inject 400', 'gateways passed']));
});

test('uses a new certificate without refusing a call, also on connections that were open', async () => {
  const next = selfSigned('second.test');
  const agent = new Agent({ keepAlive: true, maxSockets: 1, maxCachedSessions: 0, rejectUnauthorized: false });
  const names: unknown[] = [];
  const call = async () => {
    const { status, peer } = await send('/inject', review(testPod()), { agent });
    expect(status).toBe(200);
    names.push(peer);
  };
  for (let i = 0; i < 3; i++) await call();
  server.rotate(next);
  // The connection that is open answers once more, and says that it closes.
  for (let i = 0; i < 3; i++) await call();
  agent.destroy();
  expect(names).toEqual([...Array(4).fill('first.test'), ...Array(2).fill('second.test')]);
});
