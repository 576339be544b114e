// The authority's record as numbered files: readable by their owner only, safe with several writers and through crashes.
import { link, mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type CaStore, formatRecord, parseRecord, type StoredRecord } from './ca-record.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';

const largestRecord = 1024 * 1024;
/** A write takes milliseconds; the writer of a temporary file older than this is gone. In milliseconds. */
const abandonedAfter = 60_000;

/**
 * Keeps the record in `<directory>/authority.<number>.json`, mode 0600, in a directory of mode 0700. The highest number
 * counts. A write adds the next number, which fails where another writer was first, and then removes the older ones:
 * there is no lock that a killed process could leave behind.
 */
export function caDirectory(directory: string): CaStore {
  return {
    read: () => readLatest(directory),
    create: async (record) => {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      if ((await numbersIn(directory)).length > 0) {
        return 'exists';
      }
      return (await addFile(directory, 1, formatRecord(record))) ? 'created' : 'exists';
    },
    replace: async (record, version) => {
      const number = Number(version) + 1;
      const before = await numbersIn(directory);
      if (String(before.at(-1)) !== version || !(await addFile(directory, number, formatRecord(record)))) {
        return 'conflict';
      }
      const numbers = await numbersIn(directory);
      if (numbers.at(-1) !== number) {
        // We were so slow that others wrote this number, a higher one, and removed this one again.
        await unlink(pathOf(directory, number)).catch(() => undefined);
        return 'conflict';
      }
      await removeAll(directory, numbers.slice(0, -1));
      return 'replaced';
    },
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

async function readLatest(directory: string): Promise<StoredRecord | Refusal | undefined> {
  for (;;) {
    const numbers = await numbersIn(directory);
    const number = numbers.at(-1);
    if (number === undefined) {
      return undefined;
    }
    try {
      const path = pathOf(directory, number);
      if ((await stat(path)).size > largestRecord) {
        return refused('the CA record is larger than 1 MiB');
      }
      const record = parseRecord(await readFile(path, 'utf8'));
      // A process that was killed after its write left these; they may hold a key that is no longer wanted.
      await removeAll(directory, numbers.slice(0, -1));
      await removeAbandoned(directory);
      return isRefused(record) ? record : { record, version: String(number) };
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') {
        throw error;
      }
    }
  }
}

/** Adds a complete file under a name that must be new; link() decides between writers. */
async function addFile(directory: string, number: number, text: string): Promise<boolean> {
  const path = pathOf(directory, number);
  const temporary = await writeTemporary(path, text, 0o600);
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') {
      return false;
    }
    throw error;
  } finally {
    await unlink(temporary);
    await syncDirectory(directory);
  }
}

async function numbersIn(directory: string): Promise<readonly number[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') {
      return [];
    }
    throw error;
  });
  const numbers = names.flatMap((name) => /^authority\.(\d{1,15})\.json$/.exec(name)?.[1] ?? []);
  return numbers.map(Number).sort((a, b) => a - b);
}

function pathOf(directory: string, number: number): string {
  return join(directory, `authority.${number}.json`);
}

async function removeAll(directory: string, numbers: readonly number[]): Promise<void> {
  await Promise.all(numbers.map((number) => unlink(pathOf(directory, number)).catch(() => undefined)));
}

/** Temporary files of killed writers, which may hold keys. */
async function removeAbandoned(directory: string): Promise<void> {
  const names = (await readdir(directory)).filter((name) => /^authority\.\d+\.json\..*\.tmp$/.test(name));
  for (const path of names.map((name) => join(directory, name))) {
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age > abandonedAfter) {
      await unlink(path).catch(() => undefined);
    }
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
