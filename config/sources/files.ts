// The file source: a folder of Kubernetes YAML (or JSON), watched, keeping the last good version of what becomes bad.

import { isUtf8 } from 'node:buffer';
import { type FSWatcher, watch } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { type Diagnostic, errorOf, hasErrors, warningOf } from '../diagnostic.ts';
import type { AnyObject } from '../kinds/kinds.ts';
import { compareText, keyOf, type ObjectRef, type Position, refOf } from '../object.ts';
import { parseYaml, type YamlDocument, yamlLimits } from '../yaml.ts';
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

/** An object with its place. Its document is not kept: a parsed one weighs far more than what is made of it. */
interface FoundObject {
  readonly object: AnyObject;
  readonly position: Position;
}

interface FileState {
  readonly stamp: string;
  readonly objects: ReadonlyMap<string, FoundObject>;
  readonly diagnostics: readonly Diagnostic[];
}

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
  /** Files that lost objects and still count as they were, and since when, by `performance.now()`. */
  #losses: ReadonlyMap<string, number> = new Map();
  #poll: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: FileSourceOptions, sink: SourceSink) {
    this.#options = options;
    this.#sink = sink;
    this.#lossMs = options.lossMs ?? 100;
    this.name = options.path;
  }

  async start(): Promise<void> {
    this.#watch();
    await this.#scan();
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
        this.#running = this.#running.then(() => this.#scan());
      },
      Math.min(quietMs, Math.max(0, this.#readBy - now)),
    );
  }

  async #scan(): Promise<void> {
    if (this.#closed) return;
    const { path, now } = this.#options;
    const listing = await listFiles(path);
    if (listing.missing) {
      // What was read stays in force: a folder that is away is like an API server that is.
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
    this.#files = this.#withoutFreshLosses(files, performance.now());
    this.#publish(previous);
    this.#sink.report(path, listing.diagnostics);
    this.#sink.status({ synced: true, connected: true, since: now() });
    if (this.#losses.size > 0) this.#soon(this.#lossMs);
  }

  /** `read`, except that files which have only just lost objects count as they were. What another file holds now is not lost. */
  #withoutFreshLosses(read: ReadonlyMap<string, FileState>, now: number): ReadonlyMap<string, FileState> {
    const changed = [...this.#files].filter(([file, before]) => read.get(file) !== before);
    const since = this.#losses;
    const losses = new Map<string, number>();
    this.#losses = losses;
    if (changed.length === 0) return read;
    const held = new Set([...read.values()].flatMap(({ objects }) => [...objects.keys()]));
    const result = new Map(read);
    for (const [file, before] of changed) {
      if ([...before.objects.keys()].every((key) => held.has(key))) continue;
      const lostAt = since.get(file) ?? now;
      if (now - lostAt >= this.#lossMs) continue;
      losses.set(file, lostAt);
      result.set(file, before);
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

/** Checks all objects of a text. An object that is bad now but was good before stays as it was. */
function readObjects(
  shown: string,
  text: string,
  stamp: string,
  before: FileState | undefined,
  check: CheckObject,
): FileState {
  const { documents, diagnostics: syntax } = parseYaml(shown, text);
  const broken = hasErrors(syntax);
  const objects = new Map<string, FoundObject>();
  const elsewhere = new Set<string>();
  const diagnostics: Diagnostic[] = [...syntax];
  for (const { raw, document, prefix } of documents.flatMap(itemsOf)) {
    const result = check(raw);
    for (const finding of result.diagnostics) {
      diagnostics.push({ ...finding, position: document.positionOf(`${prefix}${finding.path ?? ''}`) });
    }
    const ref = result.object === undefined ? refOfRaw(raw) : refOf(result.object);
    if (ref === undefined) continue;
    const key = `${ref.kind}/${ref.namespace}/${ref.name}`;
    if (result.elsewhere) {
      elsewhere.add(key);
      continue;
    }
    const last = before?.objects.get(key);
    const position = document.positionOf(prefix.replace(/\.$/, ''));
    if (result.object === undefined && last !== undefined) {
      objects.set(key, last);
      diagnostics.push(
        warningOf('kept-last-good', 'the last valid version stays in force', {
          object: ref,
          position,
        }),
      );
    } else if (result.object !== undefined) {
      if (objects.has(key)) diagnostics.push(duplicateOf({ object: result.object, position }, objects.get(key)));
      else objects.set(key, { object: result.object, position });
    }
  }
  // Where a document cannot be parsed nobody knows which object it was: what the file held and now lacks stays in force.
  for (const [key, last] of broken ? (before?.objects ?? []) : [])
    if (!objects.has(key) && !elsewhere.has(key)) objects.set(key, last);
  return { stamp, objects, diagnostics };
}

interface RawItem {
  readonly raw: unknown;
  readonly document: YamlDocument;
  /** Path of the object within its document, ending in a dot, or empty. */
  readonly prefix: string;
}

/** A document's objects: itself, or the items of a `List`. */
function itemsOf(document: YamlDocument): readonly RawItem[] {
  const value = document.value as { kind?: unknown; items?: unknown } | undefined;
  if (
    typeof value === 'object' &&
    typeof value.kind === 'string' &&
    value.kind.endsWith('List') &&
    Array.isArray(value.items)
  ) {
    return value.items.map((raw: unknown, position) => ({ raw, document, prefix: `items[${position}].` }));
  }
  return [{ raw: document.value, document, prefix: '' }];
}

function refOfRaw(raw: unknown): ObjectRef | undefined {
  const object = raw as { kind?: unknown; metadata?: { name?: unknown; namespace?: unknown } } | undefined;
  const { kind, metadata } = typeof object === 'object' && object !== null ? object : {};
  if (typeof kind !== 'string' || typeof metadata?.name !== 'string') return undefined;
  return {
    kind,
    name: metadata.name,
    namespace: typeof metadata.namespace === 'string' ? metadata.namespace : 'default',
  };
}

function duplicateOf(second: FoundObject, first: FoundObject | undefined): Diagnostic {
  const place = first?.position;
  const where = place === undefined ? '' : ` in ${place.file}:${place.line}`;
  return warningOf('duplicate-object', `already defined${where}; this definition is ignored`, {
    object: refOf(second.object),
    position: second.position,
  });
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
