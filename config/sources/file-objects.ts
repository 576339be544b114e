// What the text of a file holds: its objects with their places, and what is wrong with the others.
import { type Diagnostic, hasErrors, warningOf } from '../diagnostic.ts';
import type { AnyObject } from '../kinds/kinds.ts';
import { type ObjectRef, type Position, refOf } from '../object.ts';
import { parseYaml, type YamlDocument } from '../yaml.ts';
import type { CheckObject } from './source.ts';

/** An object with its place. Its document is not kept: a parsed one weighs far more than what is made of it. */
export interface FoundObject {
  readonly object: AnyObject;
  readonly position: Position;
}

/** What a file holds. */
export interface FileState {
  /** Tells one state of the file from another. */
  readonly stamp: string;
  readonly objects: ReadonlyMap<string, FoundObject>;
  readonly diagnostics: readonly Diagnostic[];
}

/** Checks all objects of a text. An object that is bad now but was good before stays as it was. */
export function readObjects(
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

/** Says of a definition that another one counts. */
export function duplicateOf(second: FoundObject, first: FoundObject | undefined): Diagnostic {
  const place = first?.position;
  const where = place === undefined ? '' : ` in ${place.file}:${place.line}`;
  return warningOf('duplicate-object', `already defined${where}; this definition is ignored`, {
    object: refOf(second.object),
    position: second.position,
  });
}
