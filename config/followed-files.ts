// Follows single files, such as those that Kubernetes mounts: their texts now, and again after each change.
import { isUtf8 } from 'node:buffer';
import { type FSWatcher, watch } from 'node:fs';
import { readFile, readlink, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A file's text, or why there is none: `absent` tells a file that is not there from one that cannot be read. */
export type FileText = { readonly text: string } | { readonly problem: string; readonly absent: boolean };

/** Texts by path. */
export type FileTexts = ReadonlyMap<string, FileText>;

/** Bytes of one file at most. */
const largest = 1024 * 1024;
/** Several files change one after another; they are read when this many milliseconds passed quietly. */
const settleMs = 100;
/** Milliseconds between looks at files whose events may be lost. */
const pollMs = 2_000;

/**
 * Reads the files and tells their texts, then again whenever one of them changed, until disposed. Resolves once they
 * were told for the first time; never rejects.
 */
export async function followFiles(
  paths: readonly string[],
  tell: (texts: FileTexts) => void,
): Promise<AsyncDisposable> {
  let told = '';
  let running = Promise.resolve();
  let settling: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    const texts = await readTogether(paths);
    const state = JSON.stringify([...texts.values()]);
    if (state === told) return;
    told = state;
    tell(texts);
  };
  const soon = (): void => {
    clearTimeout(settling);
    settling = setTimeout(() => {
      running = running.then(look);
    }, settleMs);
  };
  const watchers = [...new Set(paths.map(dirname))].flatMap((folder) => watcherOf(folder, soon));
  await look();
  const poll = setInterval(soon, pollMs);
  poll.unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(poll);
      clearTimeout(settling);
      for (const watcher of watchers) watcher.close();
      await running;
    },
  };
}

/** Kubernetes swaps the symlink `..data` in the folder itself, so one watch on it sees all changes. */
function watcherOf(folder: string, changed: () => void): readonly FSWatcher[] {
  try {
    const watcher = watch(folder, { persistent: false }, changed);
    // A folder that goes is found again by the poll.
    watcher.on('error', () => watcher.close());
    return [watcher];
  } catch {
    return [];
  }
}

/** The texts of one moment: a swap between two reads would mix an old certificate with a new key. */
async function readTogether(paths: readonly string[]): Promise<FileTexts> {
  for (let attempt = 1; ; attempt++) {
    const before = await linksOf(paths);
    const texts = await Promise.all(paths.map(async (path) => [path, await readText(path)] as const));
    if (attempt === 3 || before === (await linksOf(paths))) return new Map(texts);
  }
}

async function linksOf(paths: readonly string[]): Promise<string> {
  const folders = [...new Set(paths.map(dirname))];
  return (await Promise.all(folders.map((folder) => readlink(join(folder, '..data')).catch(() => '')))).join('\n');
}

async function readText(path: string): Promise<FileText> {
  try {
    if ((await stat(path)).size > largest) return { problem: 'is larger than 1 MiB', absent: false };
    const bytes = await readFile(path);
    return isUtf8(bytes) ? { text: bytes.toString('utf8') } : { problem: 'is not UTF-8 text', absent: false };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'error';
    return { problem: code === 'ENOENT' ? 'is not there' : `cannot be read: ${code}`, absent: code === 'ENOENT' };
  }
}
