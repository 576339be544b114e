// Builds a Go program of the tests into .cache/, once for each state of its sources, whoever asks first.
import { createHash } from 'node:crypto';
import { access, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './child.ts';
import { sleep } from './wait.ts';

export interface GoProgram {
  /** Name of the binary and start of the cache folder's name. */
  readonly name: string;
  /** Folder with go.mod. */
  readonly source: string;
  /** The value of `-ldflags`. */
  readonly ldflags?: string;
  /** Milliseconds; 30 minutes by default, which is for a cold cache on a slow machine. */
  readonly timeoutMs?: number;
  /** Does what is to be done in the folder, beside the binary, before it appears under its name. */
  readonly finish?: (folder: string) => Promise<void>;
  readonly onProgress?: (message: string) => void;
}

export const cacheFolder = join(import.meta.dirname, '..', '..', '.cache');

/** The folder that holds the built binary. Throws where Go is missing or the build fails. */
export async function buildGo(program: GoProgram): Promise<string> {
  const folder = join(cacheFolder, `${program.name}-${await hashOf(program)}`);
  if (await exists(folder)) return folder;
  await mkdir(cacheFolder, { recursive: true });
  const lock = `${folder}.lock`;
  while (!(await takeLock(lock))) await sleep(500);
  try {
    if (await exists(folder)) return folder;
    program.onProgress?.(`building ${program.name} with go (minutes, where nothing of it is cached)`);
    const partial = `${folder}.partial`;
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial);
    await build(program, partial);
    await program.finish?.(partial);
    await rename(partial, folder);
    return folder;
  } finally {
    await rm(lock, { force: true });
  }
}

async function build(program: GoProgram, folder: string): Promise<void> {
  const ldflags = `-s -w ${program.ldflags ?? ''}`.trim();
  const args = ['build', '-trimpath', '-mod=readonly', '-ldflags', ldflags, '-o', join(folder, program.name), '.'];
  const built = await run('go', args, { folder: program.source, timeoutMs: program.timeoutMs ?? 1_800_000 });
  if (built.code === 127)
    throw new Error(`building ${program.name} needs Go on PATH (https://go.dev/dl): ${built.stderr}`);
  if (built.code !== 0) throw new Error(`go build of ${program.source} failed:\n${built.stderr.slice(-4000)}`);
}

async function hashOf(program: GoProgram): Promise<string> {
  const hash = createHash('sha256').update(program.ldflags ?? '');
  const names = (await readdir(program.source)).filter((name) => /\.(go|mod|sum)$/.test(name)).sort();
  if (!names.includes('go.mod')) throw new Error(`${program.source} has no go.mod`);
  for (const name of names) hash.update(`\0${name}\0`).update(await readFile(join(program.source, name)));
  return hash.digest('hex').slice(0, 12);
}

/** A lock is a file with its owner's process id; one whose owner is gone may be taken away. */
async function takeLock(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    const owner = Number(await readFile(lock, 'utf8').catch(() => ''));
    const age = Date.now() - (await stat(lock).catch(() => ({ mtimeMs: Date.now() }))).mtimeMs;
    if (owner > 0 ? !isAlive(owner) : age > 5_000) await rm(lock, { force: true });
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
