// Reads YAML and JSON text into documents that know where each of their fields stands, within fixed limits.
import { type Document, isAlias, isMap, isNode, isPair, isSeq, LineCounter, type Node, parseAllDocuments } from 'yaml';
import { type Diagnostic, errorOf } from './diagnostic.ts';
import type { Position } from './object.ts';

/** Limits on what is parsed: no input may cost more than these. */
export const yamlLimits = {
  /** Bytes of one file. */
  fileBytes: 16 * 1024 * 1024,
  /** Documents in one file. */
  documents: 50_000,
  /** Nesting of maps and lists. */
  depth: 100,
  /** Aliases that one document may expand. */
  aliases: 100,
} as const;

/** One document of a file: its plain value, and positions by field path. */
export interface YamlDocument {
  readonly value: unknown;
  /** Position of a field path such as `spec.http[0].match`, or of the nearest enclosing field. */
  readonly positionOf: (path: string) => Position;
}

/** What a text held: the good documents and what was wrong with the others. */
export interface YamlResult {
  readonly documents: readonly YamlDocument[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Parses a text of one or many documents. Never throws; a broken document costs only itself where it can be told apart. */
export function parseYaml(file: string, text: string): YamlResult {
  const at = (line: number, column: number): Position => ({ file, line, column });
  if (text.length > yamlLimits.fileBytes) {
    return {
      documents: [],
      diagnostics: [errorOf('yaml-limit', `larger than ${yamlLimits.fileBytes / 1048576} MiB`, { position: at(1, 1) })],
    };
  }
  const depth = flowDepth(text);
  if (depth > yamlLimits.depth) {
    return {
      documents: [],
      diagnostics: [errorOf('yaml-limit', `nested deeper than ${yamlLimits.depth} levels`, { position: at(1, 1) })],
    };
  }
  const lines = new LineCounter();
  let parsed: Document.Parsed[];
  try {
    const all = parseAllDocuments(text, {
      lineCounter: lines,
      uniqueKeys: true,
      prettyErrors: false,
      merge: false,
      logLevel: 'silent',
    });
    parsed = Array.isArray(all) ? all : [];
  } catch (error) {
    return { documents: [], diagnostics: [errorOf('yaml-syntax', messageOf(error), { position: at(1, 1) })] };
  }
  const documents: YamlDocument[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const document of parsed.slice(0, yamlLimits.documents)) {
    const result = readDocument(document, (offset) => positionAt(file, lines, offset));
    if ('code' in result) diagnostics.push(result);
    else if (result.value !== undefined) documents.push(result);
  }
  if (parsed.length > yamlLimits.documents) {
    diagnostics.push(errorOf('yaml-limit', `more than ${yamlLimits.documents} documents`, { position: at(1, 1) }));
  }
  return { documents, diagnostics };
}

/** `spec.http[0].match` as its parts: `['spec', 'http', 0, 'match']`. */
export function partsOfPath(path: string): readonly (string | number)[] {
  return [...path.matchAll(/\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|([^.[\]]+)/g)].map(([, position, quoted, name]) =>
    position !== undefined ? Number(position) : (quoted ?? name ?? ''),
  );
}

function readDocument(document: Document.Parsed, position: (offset: number) => Position): YamlDocument | Diagnostic {
  const error = document.errors[0];
  if (error !== undefined)
    return errorOf('yaml-syntax', firstLine(error.message), { position: position(error.pos[0]) });
  const start = position(document.contents?.range?.[0] ?? 0);
  if (document.contents === null) return { value: undefined, positionOf: () => start };
  if (depthOf(document.contents, 0) > yamlLimits.depth) {
    return errorOf('yaml-limit', `nested deeper than ${yamlLimits.depth} levels`, { position: start });
  }
  try {
    const value: unknown = document.toJS({ maxAliasCount: yamlLimits.aliases });
    return { value: value ?? undefined, positionOf: (path) => position(offsetOf(document, path)) };
  } catch (failure) {
    return errorOf('yaml-limit', messageOf(failure), { position: start });
  }
}

function offsetOf(document: Document.Parsed, path: string): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0] ?? 0;
  const parts = [...partsOfPath(path)];
  while (parts.length > 0) {
    if (isAlias(node)) node = node.resolve(document);
    const next = stepInto(node, parts);
    if (next === undefined) return offset;
    offset = next.offset;
    node = next.node;
  }
  return offset;
}

/** Follows one path part, or several joined by dots where a key holds dots (labels). Consumes what it followed. */
function stepInto(node: unknown, parts: (string | number)[]): { node: unknown; offset: number } | undefined {
  if (isSeq(node) && typeof parts[0] === 'number') {
    const item = node.items[parts[0]];
    parts.shift();
    return isNode(item) ? { node: item, offset: item.range?.[0] ?? 0 } : undefined;
  }
  if (!isMap(node)) return undefined;
  for (let count = parts.length; count > 0; count--) {
    const key = parts.slice(0, count).join('.');
    const pair = node.items.find(
      (item) => isPair(item) && String((item.key as { value?: unknown } | null)?.value) === key,
    );
    if (pair === undefined) continue;
    parts.splice(0, count);
    return { node: pair.value, offset: (pair.key as Node).range?.[0] ?? 0 };
  }
  return undefined;
}

function positionAt(file: string, lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** Nesting of brackets outside double quotes, found without recursion before the parser (which recurses) sees the text. */
function flowDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x22) i = endOfQuoted(text, i);
    else if (c === 0x5b || c === 0x7b) deepest = Math.max(deepest, ++depth);
    else if ((c === 0x5d || c === 0x7d) && depth > 0) depth--;
    // Flow collections cannot span documents; a stray bracket in prose does not count against the next document.
    else if (c === 0x2d && text.startsWith('\n---', i - 1)) depth = 0;
  }
  return deepest;
}

/** Index of the closing quote on the same line, or where the search began: an unpaired quote is prose. */
function endOfQuoted(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x5c) i++;
    else if (c === 0x22) return i;
    else if (c === 0x0a) return start;
  }
  return start;
}

function depthOf(node: unknown, depth: number): number {
  if (depth > yamlLimits.depth) return depth;
  let deepest = depth;
  if (isMap(node)) for (const pair of node.items) deepest = Math.max(deepest, depthOf(pair.value, depth + 1));
  else if (isSeq(node)) for (const item of node.items) deepest = Math.max(deepest, depthOf(item, depth + 1));
  return deepest;
}

function messageOf(error: unknown): string {
  return firstLine(error instanceof Error ? error.message : String(error));
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').slice(0, 300);
}
