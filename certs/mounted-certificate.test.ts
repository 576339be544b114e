// The control plane's certificate from files: what is accepted, what is refused and why, and how a renewed one is taken.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { selfSigned } from '../test/support/webhook.ts';
import { type CertificateFiles, MountedCertificate } from './mounted-certificate.ts';
import { isRefused } from './refusal.ts';

let folder: string;
let files: CertificateFiles;
const [one, two] = [selfSigned('one.test'), selfSigned('two.test')];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mounted-'));
  files = { certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key'), roots: join(folder, 'ca.crt') };
  await write(one.cert, one.key, one.cert);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function write(certificate: string, key: string, roots: string): Promise<void> {
  await writeFile(files.certificate, certificate);
  await writeFile(files.key, key);
  await writeFile(files.roots, roots);
}

test.each([
  ['no certificate', 'tls.crt', 'x', /tls\.crt holds no certificate$/],
  ['no key', 'tls.key', 'x', /tls\.key holds no private key that can be read$/],
  ['the key of another', 'tls.key', two.key, /the key in .*tls\.key is not that of .*tls\.crt$/],
  ['no roots', 'ca.crt', '', /ca\.crt holds no certificate$/],
])('%s is refused', async (_what, name, text, reason) => {
  await writeFile(join(folder, name), text);
  const opened = await MountedCertificate.open(files, () => undefined);
  expect(isRefused(opened) ? opened.reason : 'accepted').toMatch(reason);
});

test('a file that is not there is refused', async () => {
  await rm(files.roots);
  const opened = await MountedCertificate.open(files, () => undefined);
  expect(isRefused(opened) ? opened.reason : 'accepted').toMatch(/ca\.crt is not there$/);
});

test('a new one is taken as a whole; what is unusable leaves the last good one', async () => {
  const problems: string[] = [];
  const opened = await MountedCertificate.open(files, (reason) => problems.push(reason));
  if (isRefused(opened)) throw new Error(opened.reason);
  await using certificate = opened;
  let changes = 0;
  certificate.subscribe(() => changes++);
  expect(certificate.current.certificateChain).toBe(one.cert);
  await writeFile(files.certificate, two.cert);
  await expect.poll(() => problems.length).toBe(1);
  expect(problems[0]).toMatch(/is not that of .*; the certificate in use stays$/);
  expect(problems[0]).not.toContain('PRIVATE');
  expect(certificate.current.certificateChain).toBe(one.cert);
  await write(two.cert, two.key, two.cert);
  await expect.poll(() => certificate.current.roots.trim()).toBe(two.cert.trim());
  expect(certificate.current.certificateChain).toBe(two.cert);
  // One, or two where the roots came only after a look at the rest.
  expect([1, 2]).toContain(changes);
});
