// The authority's record as a file: readable by its owner only, replaced atomically, safe with several writers.
import { createHash } from 'node:crypto';
import { link, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CaRecord, type CaStore, formatRecord, parseRecord, type StoredRecord } from './ca-record.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';

const recordFile = 'authority.json';
const largestRecord = 1024 * 1024;
/** A writer holds the lock for milliseconds; one older than this belonged to a process that was killed. */
const staleLock = 5_000;

/** Keeps the record in `<directory>/authority.json`, mode 0600, in a directory of mode 0700. */
export function caDirectory(directory: string): CaStore {
  const path = join(directory, recordFile);
  return {
    read: () => readStored(path),
    create: async (record) => {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const temporary = await writeTemporary(path, formatRecord(record), 0o600);
      try {
        // link() fails where the name exists, which makes the creation atomic and exclusive.
        await link(temporary, path);
        return 'created';
      } catch (error) {
        if (codeOf(error) === 'EEXIST') {
          return 'exists';
        }
        throw error;
      } finally {
        await unlink(temporary);
        await syncDirectory(directory);
      }
    },
    replace: (record, version) => underLock(`${path}.lock`, () => replaceRecord(path, record, version)),
  };
}

/** Writes a public file (such as the root bundle, `root-cert.pem`) atomically. Rejects when it cannot be written. */
export async function writePublicFile(path: string, text: string): Promise<void> {
  const same = await readFile(path, 'utf8').then(
    (old) => old === text,
    () => false,
  );
  if (!same) {
    await mkdir(dirname(path), { recursive: true });
    await rename(await writeTemporary(path, text, 0o644), path);
  }
}

async function replaceRecord(path: string, record: CaRecord, version: string): Promise<'replaced' | 'conflict'> {
  const current = await readStored(path);
  if (current === undefined || isRefused(current) || current.version !== version) {
    return 'conflict';
  }
  await rename(await writeTemporary(path, formatRecord(record), 0o600), path);
  await syncDirectory(dirname(path));
  return 'replaced';
}

async function readStored(path: string): Promise<StoredRecord | Refusal | undefined> {
  try {
    const { size } = await stat(path);
    if (size > largestRecord) {
      return refused('the CA record is larger than 1 MiB');
    }
    const text = await readFile(path, 'utf8');
    const record = parseRecord(text);
    return isRefused(record) ? record : { record, version: createHash('sha256').update(text).digest('hex') };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}

async function writeTemporary(path: string, text: string, mode: number): Promise<string> {
  const temporary = `${path}.${process.pid}.${process.hrtime.bigint()}.tmp`;
  const file = await open(temporary, 'wx', mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  return temporary;
}

async function underLock<T>(lock: string, work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      await (await open(lock, 'wx', 0o600)).close();
      break;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST' || attempt > 400) {
        throw error;
      }
      const age = await stat(lock).then(
        ({ mtimeMs }) => Date.now() - mtimeMs,
        () => 0,
      );
      if (age > staleLock) {
        await unlink(lock).catch(() => undefined);
      }
      await sleep(20);
    }
  }
  try {
    return await work();
  } finally {
    await unlink(lock).catch(() => undefined);
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
