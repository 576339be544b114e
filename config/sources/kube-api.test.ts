// The client of an API server over TLS: client certificates, refused credentials, and messages that name the server.
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { selfSigned } from '../../test/support/webhook.ts';
import { openKubeApi, type WatchEvent } from './kube-api.ts';
import type { KubeAccess, KubeCredential } from './kube-config.ts';

const certificate = selfSigned('127.0.0.1');
let server: Server | undefined;
afterEach(() => server?.close());

type Handler = Parameters<typeof createServer>[1];

async function serve(handler: Handler): Promise<string> {
  server = createServer({ ...certificate, requestCert: true, rejectUnauthorized: false }, handler);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const accessTo = (server: string, more: Partial<KubeAccess> = {}): KubeAccess => ({
  server,
  tls: { ca: certificate.cert },
  credential: async () => ({}),
  refused: () => undefined,
  origin: 'context one of /config',
  ...more,
});

test('shows the client certificate in force, also when it changes', async () => {
  const url = await serve(({ socket }, answer) => {
    const { subject } = (socket as TLSSocket).getPeerCertificate();
    answer.end(JSON.stringify({ caller: subject?.CN ?? 'nobody' }));
  });
  let credential: KubeCredential = {};
  using api = openKubeApi(accessTo(url, { credential: async () => credential }));
  const callers: unknown[] = [];
  for (const name of [undefined, 'first', 'second', undefined]) {
    credential = name === undefined ? {} : selfSigned(name);
    callers.push((await api.send('GET', '/')).body);
  }
  expect(callers).toEqual(['nobody', 'first', 'second', 'nobody'].map((caller) => ({ caller })));
});

test('tells that a credential was refused, and takes the next one', async () => {
  const url = await serve(({ headers }, answer) => {
    answer.statusCode = headers.authorization === 'Bearer good' ? 200 : 401;
    answer.end('{}');
  });
  let token = 'old';
  const refused = () => {
    token = 'good';
  };
  const credential = async () => ({ authorization: `Bearer ${token}` });
  using api = openKubeApi(accessTo(url, { credential, refused }));
  const end = await api.watch('/', () => undefined, new AbortController().signal, 1_000);
  expect([end.status, (await api.send('GET', '/')).status]).toEqual([401, 200]);
});

test('says which server is away, and where that was read', async () => {
  using api = openKubeApi(accessTo('https://127.0.0.1:1'));
  const message = /^https:\/\/127\.0\.0\.1:1 \(context one of \/config\): connect ECONNREFUSED 127\.0\.0\.1:1$/;
  await expect(api.send('GET', '/')).rejects.toThrow(message);
  const watching = api.watch('/', () => undefined, new AbortController().signal, 1_000);
  await expect(watching).rejects.toThrow(message);
  using both = openKubeApi(accessTo('https://localhost:1'));
  await expect(both.send('GET', '/')).rejects.toThrow(/: connect ECONNREFUSED/);
});

test('a line of a watch that is no event says so in its place, and ends the watch', async () => {
  const url = await serve((_request, answer) => {
    answer.write('{"type":"ADDED","object":1}\n{"type":"ADD');
    setTimeout(() => answer.write('ED","object":2}\n{"type":\n{"type":"ADDED","object":3}\n'), 50);
  });
  using api = openKubeApi(accessTo(url));
  const events: WatchEvent[] = [];
  const end = await api.watch('/', (batch) => events.push(...batch), new AbortController().signal, 10_000);
  expect(end).toEqual({ status: 200, message: 'the stream ended' });
  expect(events.map(({ type, object }) => [type, object])).toEqual([
    ['ADDED', 1],
    ['ADDED', 2],
    ['ERROR', { message: 'a line of the watch is no event' }],
  ]);
});

test('a watch that says nothing any more has ended, one that says something now and then goes on', async () => {
  let closed = 0;
  const url = await serve(({ url, socket }, answer) => {
    socket.once('close', () => closed++);
    answer.write('{"type":"ADDED","object":1}\n');
    if (url !== '/silent') {
      let left = 50;
      const timer = setInterval(
        () => (left-- === 0 ? answer.end(clearInterval(timer)) : answer.write('{"type":"ADDED"}\n')),
        25,
      );
    }
  });
  using api = openKubeApi(accessTo(url));
  const events: WatchEvent[] = [];
  const watch = (path: string) =>
    api.watch(path, (batch) => events.push(...batch), new AbortController().signal, 1_000);
  expect(await watch('/silent')).toEqual({ status: 200, message: 'nothing heard for 1 s' });
  expect(events.length).toBe(1);
  expect(await watch('/talking')).toEqual({ status: 200, message: 'the stream ended' });
  expect(events.length).toBe(52);
  expect(closed).toBeGreaterThan(0);
});

test('a request that is given up ends at once, and the connection of one that was answered serves the next', async () => {
  const ports: (number | undefined)[] = [];
  let closed = 0;
  const url = await serve(({ url, socket }, answer) => {
    ports.push(socket.remotePort);
    socket.once('close', () => closed++);
    if (url !== '/hangs') answer.end('{}');
  });
  using api = openKubeApi(accessTo(url));
  const unused = new AbortController().signal;
  await api.send('GET', '/', undefined, undefined, unused);
  await api.send('PUT', '/', {}, undefined, unused);
  expect(new Set(ports).size).toBe(1);
  const stop = new AbortController();
  const refused = expect(api.send('GET', '/hangs', undefined, undefined, stop.signal)).rejects.toThrow(': stopped');
  await expect.poll(() => ports.length).toBe(3);
  stop.abort();
  await refused;
  await expect.poll(() => closed).toBeGreaterThan(0);
  await expect(api.send('GET', '/', undefined, undefined, stop.signal)).rejects.toThrow(': stopped');
  expect((await api.send('GET', '/')).status).toBe(200);
  expect(ports.length).toBe(4);
});

test('disposed, it ends what is under way, also where the credential is waited for, and sends nothing more', async () => {
  const asked: (string | undefined)[] = [];
  const url = await serve(({ url }) => void asked.push(url));
  const api = openKubeApi(accessTo(url));
  const waiting = openKubeApi(accessTo(url, { credential: () => new Promise(() => undefined) }));
  const ends = [
    api.send('GET', '/send'),
    api.watch('/watch', () => undefined, new AbortController().signal, 60_000),
    waiting.send('GET', '/waits'),
  ].map((end) => end.catch((error: Error) => error.message));
  await expect.poll(() => asked.length).toBe(2);
  for (const one of [api, waiting]) one[Symbol.dispose]();
  for (const end of ends) expect(await end).toMatch(/: stopped$/);
  await expect(api.send('GET', '/late')).rejects.toThrow(': stopped');
  expect(asked.sort()).toEqual(['/send', '/watch']);
});
