// The file source: a folder of Kubernetes YAML (or JSON), watched, keeping the last good version of what becomes bad.

import { isUtf8 } from 'node:buffer';
import { type FSWatcher, watch } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { type Diagnostic, errorOf } from '../diagnostic.ts';
import type { AnyObject } from '../kinds/kinds.ts';
import { compareText, keyOf } from '../object.ts';
import { yamlLimits } from '../yaml.ts';
import { duplicateOf, type FileState, type FoundObject, readObjects } from './file-objects.ts';
import type { CheckObject, ObjectChange, Source, SourceSink } from './source.ts';

/** Settings of a file source. */
export interface FileSourceOptions {
  /** Folder, or a single file. */
  readonly path: string;
  readonly check: CheckObject;
  /** False reads once and does not watch. */
  readonly watch: boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /**
   * Milliseconds, 100 by default, that what a file lost must have been away before it is believed to be gone: many
   * programs save by emptying a file, or by moving it away, first.
   */
  readonly lossMs?: number;
}

/** Files read at most, and folder levels. */
const limits = { files: 20_000, levels: 20 } as const;
/** A folder is read when no event came for this many milliseconds: the events of one save are taken together. */
const settleMs = 10;
/** Milliseconds after which it is read although events still come. */
const longestSettleMs = 200;
/** Milliseconds between looks at a folder whose events may be lost. */
const pollMs = 2_000;

/** Reads a folder, hands over what it holds, and follows its changes until disposed. Resolves once it was read. */
export async function startFileSource(options: FileSourceOptions, sink: SourceSink): Promise<Source> {
  const source = new FileSource(options, sink);
  await source.start();
  return source;
}

class FileSource implements Source {
  readonly name: string;
  readonly #options: FileSourceOptions;
  readonly #sink: SourceSink;
  readonly #lossMs: number;
  #files: ReadonlyMap<string, FileState> = new Map();
  #published: ReadonlyMap<string, { readonly found: FoundObject; readonly file: string }> = new Map();
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the folder is to be read at the latest, by `performance.now()`. */
  #readBy: number | undefined;
  /** Objects that no file holds any more but that still count, and since when, by `performance.now()`. */
  #losses: ReadonlyMap<string, number> = new Map();
  #poll: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  /** Whether a scan waits for the one that runs. */
  #waiting = false;
  #closed = false;

  constructor(options: FileSourceOptions, sink: SourceSink) {
    this.#options = options;
    this.#sink = sink;
    this.#lossMs = options.lossMs ?? 100;
    this.name = options.path;
  }

  async start(): Promise<void> {
    this.#watch();
    this.#running = this.#scan();
    await this.#running;
    if (this.#options.watch) {
      this.#poll = setInterval(() => this.#soon(), pollMs);
      this.#poll.unref();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#watcher?.close();
    clearTimeout(this.#timer);
    clearInterval(this.#poll);
    await this.#running;
  }

  #watch(): void {
    if (!this.#options.watch || this.#watcher !== undefined || this.#closed) return;
    try {
      const watcher = watch(this.#options.path, { recursive: true }, () => this.#soon());
      watcher.on('error', () => this.#unwatch(watcher));
      this.#watcher = watcher;
    } catch {
      // The folder is not there: the poll finds it when it returns.
    }
  }

  #unwatch(watcher: FSWatcher): void {
    watcher.close();
    if (this.#watcher === watcher) this.#watcher = undefined;
  }

  #soon(quietMs = settleMs): void {
    if (this.#closed) return;
    const now = performance.now();
    this.#readBy ??= now + longestSettleMs;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#readBy = undefined;
        if (this.#waiting) return;
        this.#waiting = true;
        this.#running = this.#running.then(() => this.#scan());
      },
      Math.min(quietMs, Math.max(0, this.#readBy - now)),
    );
  }

  async #scan(): Promise<void> {
    this.#waiting = false;
    if (this.#closed) return;
    const began = performance.now();
    const { path, now } = this.#options;
    const listing = await listFiles(path);
    if (listing.missing) {
      // What was read stays in force: a folder that is away is like an API server that is.
      this.#losses = new Map();
      if (this.#watcher !== undefined) this.#unwatch(this.#watcher);
      this.#sink.report(path, [
        errorOf('file-unreadable', `${path} is not there; what was read from it stays in force`),
      ]);
      this.#sink.status({
        synced: this.#files.size > 0,
        connected: false,
        since: now(),
        message: `${path} is not there`,
      });
      return;
    }
    this.#watch();
    const files = new Map<string, FileState>();
    for (const file of listing.files) files.set(file, await this.#readIfChanged(file));
    const previous = this.#files;
    this.#files = this.#withFreshLosses(files, began);
    this.#publish(previous);
    this.#sink.report(path, listing.diagnostics);
    this.#sink.status({ synced: true, connected: true, since: now() });
    if (this.#losses.size > 0 && this.#readBy === undefined) this.#soon(this.#lossMs);
  }

  /**
   * What a scan read that began then, and with it the objects that a file held before and none holds now, until they
   * count as gone.
   */
  #withFreshLosses(read: ReadonlyMap<string, FileState>, began: number): ReadonlyMap<string, FileState> {
    const known = this.#losses;
    const losses = new Map<string, number>();
    this.#losses = losses;
    const changed = [...this.#files].filter(([file, before]) => read.get(file) !== before);
    if (changed.length === 0) return read;
    const held = new Set([...read.values()].flatMap(({ objects }) => [...objects.keys()]));
    const now = performance.now();
    const result = new Map(read);
    for (const [file, before] of changed) {
      const lost = [...before.objects].filter(([key]) => {
        const since = known.get(key) ?? now;
        if (held.has(key) || began - since >= this.#lossMs) return false;
        losses.set(key, since);
        return true;
      });
      if (lost.length === 0) continue;
      const after = read.get(file);
      const objects = new Map([...(after?.objects ?? []), ...lost]);
      // Without a stamp, so that it is read again.
      result.set(file, { stamp: '', objects, diagnostics: (after ?? before).diagnostics });
    }
    return result;
  }

  async #readIfChanged(file: string): Promise<FileState> {
    const before = this.#files.get(file);
    const full = file === '' ? this.#options.path : join(this.#options.path, file);
    const shown = relative(process.cwd(), full) || basename(full);
    try {
      const info = await stat(full);
      const stamp = `${info.mtimeMs}|${info.size}|${info.ino}`;
      if (before?.stamp === stamp) return before;
      if (info.size > yamlLimits.fileBytes) {
        return kept(before, stamp, [
          errorOf('file-unreadable', `larger than ${yamlLimits.fileBytes / 1048576} MiB`, { position: startOf(shown) }),
        ]);
      }
      const bytes = await readFile(full);
      if (!isUtf8(bytes))
        return kept(before, stamp, [errorOf('file-unreadable', 'not UTF-8 text', { position: startOf(shown) })]);
      return readObjects(shown, bytes.toString('utf8'), stamp, before, this.#options.check);
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? 'error';
      return kept(before, '', [errorOf('file-unreadable', `cannot be read: ${reason}`, { position: startOf(shown) })]);
    }
  }

  /** Compares what all files hold with what was handed over, and hands over the difference. */
  #publish(previous: ReadonlyMap<string, FileState>): void {
    const next = new Map<string, { found: FoundObject; file: string }>();
    for (const [file, state] of this.#files) {
      const duplicates: Diagnostic[] = [];
      for (const [key, found] of state.objects) {
        const first = next.get(key);
        if (first === undefined) next.set(key, { found, file });
        else duplicates.push(duplicateOf(found, first.found));
      }
      const reported = [...state.diagnostics, ...duplicates];
      this.#sink.report(file, reported);
    }
    for (const file of previous.keys()) if (!this.#files.has(file)) this.#sink.report(file, []);
    const changes: ObjectChange[] = [];
    for (const [key, { found }] of this.#published)
      if (!next.has(key)) changes.push({ ...identityOf(found.object), object: undefined });
    for (const [key, { found }] of next) {
      if (this.#published.get(key)?.found.object === found.object) continue;
      changes.push({ ...identityOf(found.object), object: found.object, position: found.position });
    }
    this.#published = next;
    this.#sink.apply(changes);
  }
}

interface Listing {
  readonly missing: boolean;
  readonly files: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
}

async function listFiles(path: string): Promise<Listing> {
  try {
    if ((await stat(path)).isFile()) return { missing: false, files: [''], diagnostics: [] };
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => !entry.isDirectory() && /\.(ya?ml|json)$/.test(entry.name) && !entry.name.startsWith('.'))
      .map((entry) => relative(path, join(entry.parentPath, entry.name)))
      .filter(
        (file) => file.split('/').length <= limits.levels && !file.split('/').some((part) => part.startsWith('.')),
      )
      .sort(compareText);
    const diagnostics =
      files.length > limits.files
        ? [errorOf('yaml-limit', `${path} holds more than ${limits.files} files; the rest is not read`)]
        : [];
    return { missing: false, files: files.slice(0, limits.files), diagnostics };
  } catch {
    return { missing: true, files: [], diagnostics: [] };
  }
}

function identityOf(object: AnyObject): Pick<ObjectChange, 'kind' | 'key'> {
  return { kind: object.kind, key: keyOf(object.metadata) };
}

function kept(before: FileState | undefined, stamp: string, diagnostics: readonly Diagnostic[]): FileState {
  return { stamp, objects: before?.objects ?? new Map(), diagnostics };
}

function startOf(file: string): { file: string; line: number; column: number } {
  return { file, line: 1, column: 1 };
}
