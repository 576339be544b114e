// The exit codes of `meltemi status`, by which scripts tell a rejected configuration from a control plane that is away.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';

let server: Server | undefined;
afterEach(() => server?.close());

async function serve(status: number, body: string): Promise<string> {
  server = createServer((_request, answer) => answer.writeHead(status).end(body));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function statusOf(address: string): Promise<{ readonly code: unknown; readonly messages: string }> {
  const args = [join(import.meta.dirname, 'main.ts'), 'status', '--address', address];
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error, _output, messages) => resolve({ code: error?.code ?? 0, messages }));
  });
}

const answer = (state: string): string =>
  JSON.stringify({
    version: '1',
    sources: {},
    proxies: [{ workloadId: 'a', types: [{ type: 'cds', state }] }],
    findings: [],
    certificates: [],
  });

test.each([
  ['all is well', 200, answer('SYNCED'), 0, /^$/],
  ['a proxy rejects something', 200, answer('ERROR'), 1, /^$/],
  ['there is no such page', 404, 'nothing here', 2, /^meltemi: 127\.0\.0\.1:\d+ answers 404: nothing here\n$/],
  ['the answer is no status', 200, 'hello', 2, /^meltemi: .*JSON/],
] as const)('%s', async (_what, status, body, code, messages) => {
  const seen = await statusOf(await serve(status, body));
  expect(seen.code).toBe(code);
  expect(seen.messages).toMatch(messages);
});

test('nothing answers', async () => {
  const seen = await statusOf('127.0.0.1:1');
  expect(seen.code).toBe(2);
  expect(seen.messages).toMatch(/^meltemi: 127\.0\.0\.1:1 does not answer: .*\n$/);
});
