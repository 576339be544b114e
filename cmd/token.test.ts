// `meltemi token` and `meltemi root` as processes, on a directory that no server has used yet.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { caDirectory } from '../certs/ca-directory.ts';
import { authenticateBy } from '../certs/caller.ts';
import { systemEnvironment } from '../certs/environment.ts';
import { jwtAuthenticator } from '../certs/jwt-authenticator.ts';
import { openTokenKey, ownJwtIssuer } from '../certs/token-issuer.ts';
import { accepted, rootOptions } from '../test/support/certificate-server.ts';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'token-'));
});
afterAll(() => rm(directory, { recursive: true }));

test('a token that the command signs authenticates its workload', async () => {
  const { stdout } = await meltemi('token', '-n', 'shop', '-s', 'cart', '--ttl', '10m');
  const key = accepted(await openTokenKey(caDirectory(join(directory, 'ca')), rootOptions, systemEnvironment));
  const authenticate = authenticateBy([jwtAuthenticator([ownJwtIssuer(key)], () => 'cluster.local', Date.now)]);
  const result = await authenticate({ secure: true, authorization: [`Bearer ${stdout.trim()}`] });
  expect(result).toMatchObject({ identities: [{ namespace: 'shop', serviceAccount: 'cart' }] });
});

test('a token file is its owner’s alone', async () => {
  const file = join(directory, 'token');
  await meltemi('token', '-o', file);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await readFile(file, 'utf8')).split('.').length).toBe(3);
});

test('names and durations that cannot be are refused', async () => {
  await expect(meltemi('token', '-n', 'Shop')).rejects.toThrow(/not a Kubernetes name/);
  await expect(meltemi('token', '--ttl', 'soon')).rejects.toThrow(/not a duration/);
});

test('the root is shown, and a rotation begun, held and cancelled', async () => {
  expect((await meltemi('root')).stdout).toMatch(/signs .*O=cluster.local, CN=Mesh root[\s\S]*Rotation: steady/);
  expect((await meltemi('root', 'rotate')).stdout).toMatch(/trust-both/);
  await expect(meltemi('root', 'rotate')).rejects.toThrow(/already under way/);
  expect((await meltemi('root', 'hold')).stdout).toMatch(/On hold/);
  const { roots } = JSON.parse((await meltemi('root', 'show', '-o', 'json')).stdout) as {
    readonly roots: readonly unknown[];
  };
  expect(roots.length).toBe(2);
  expect((await meltemi('root', 'cancel')).stdout).toMatch(/steady/);
});

function meltemi(...args: readonly string[]): Promise<{ readonly stdout: string }> {
  const main = join(import.meta.dirname, 'main.ts');
  const env = { ...process.env, MELTEMI_CA_DIR: join(directory, 'ca') };
  return promisify(execFile)(process.execPath, [main, ...args], { env });
}
