// Connections of two protocols on one port, however their first bytes arrive.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { splitConnections } from './split-connections.ts';

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
let server: ReturnType<typeof createServer>;
let taken: Promise<string>[] = [];

beforeEach(async () => {
  taken = [];
  server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    response.end(`${request.method} ${request.url} ${body}`);
  });
  splitConnections(
    server,
    (socket) => {
      taken.push(readAll(socket));
    },
    300,
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => server.close());

async function readAll(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

/** Sends parts one after another and gives all that comes back until the server closes. */
async function send(parts: readonly string[], end = false): Promise<string> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.setNoDelay(true);
  socket.on('error', () => undefined);
  const answer = readAll(socket).catch(() => 'reset');
  for (const part of parts) {
    socket.write(part);
    await sleep(20);
  }
  if (end) socket.end();
  return answer;
}

const close = 'Host: a\r\nConnection: close\r\n';

test.each([
  ['at once', [`GET /a HTTP/1.1\r\n${close}\r\n`], 'GET /a '],
  ['byte by byte', ['P', 'O', `ST /b HTTP/1.1\r\n${close}Content-Length: 3\r\n\r\n`, 'a', 'bc'], 'POST /b abc'],
  ['with a beginning like the other’s', ['PR', `OPFIND /c HTTP/1.1\r\n${close}\r\n`], 'PROPFIND /c '],
])('HTTP/1 %s', async (_what, parts, expected) => {
  expect((await send(parts)).split('\r\n\r\n')[1]).toContain(expected);
  expect(taken).toEqual([]);
});

test('several requests of one HTTP/1 connection', async () => {
  const answer = await send(['GET /a HTTP/1.1\r\nHost: a\r\n\r\n', `GET /b HTTP/1.1\r\n${close}\r\n`]);
  expect(answer.match(/GET \/[ab]/g)).toEqual(['GET /a', 'GET /b']);
});

test.each([
  ['at once', [`${preface}rest`]],
  ['byte by byte', ['P', 'R', preface.slice(2), 'rest']],
])('HTTP/2 %s', async (_what, parts) => {
  void send(parts, true);
  await expect.poll(() => taken.length).toBe(1);
  expect(await taken[0]).toBe(`${preface}rest`);
});

test.each([
  ['nothing', []],
  ['too little', ['P']],
])('who says %s is cut off', async (_what, parts) => {
  expect(await send(parts)).toMatch(/^(reset)?$/);
  expect(taken).toEqual([]);
});
