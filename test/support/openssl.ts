// The openssl command as an independent judge of keys, certificates and chains.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What `openssl verify -x509_strict` says of a leaf with its intermediates against roots: `OK`, or its message. */
export function opensslVerify(
  leafPem: string,
  intermediates: readonly string[],
  rootsPem: string,
  purpose = 'sslserver',
): string {
  return withFiles({ 'leaf.pem': leafPem, 'chain.pem': intermediates.join(''), 'roots.pem': rootsPem }, (dir) => {
    const chain = intermediates.length === 0 ? [] : ['-untrusted', join(dir, 'chain.pem')];
    const args = [
      'verify',
      '-x509_strict',
      '-purpose',
      purpose,
      '-CAfile',
      join(dir, 'roots.pem'),
      ...chain,
      join(dir, 'leaf.pem'),
    ];
    const result = spawnSync('openssl', args, { encoding: 'utf8' });
    return result.status === 0 ? 'OK' : `${result.stdout}${result.stderr}`;
  });
}

/** `openssl x509 -text` of a certificate. */
export function opensslText(pem: string): string {
  return execFileSync('openssl', ['x509', '-noout', '-text'], { input: pem, encoding: 'utf8' });
}

/** Runs openssl in a directory that holds the files and returns its standard output. */
export function openssl(args: readonly string[], files: Readonly<Record<string, string>> = {}): string {
  return withFiles(files, (dir) =>
    execFileSync('openssl', args, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
  );
}

function withFiles<T>(files: Readonly<Record<string, string>>, use: (dir: string) => T): T {
  const dir = mkdtempSync(join(tmpdir(), 'openssl-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(dir, name), content);
    }
    return use(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}
