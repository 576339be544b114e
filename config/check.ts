// Turns a parsed document into a typed object: its kind, its metadata, and its body by the kind's schema. Never throws.
import { type Diagnostic, errorOf, hasErrors } from './diagnostic.ts';
import type { KindDef } from './kinds/kind.ts';
import { type AnyObject, type KindLookup, kindNames, kindOf, kinds } from './kinds/kinds.ts';
import { readMeta } from './metadata.ts';
import type { ConfigObject, ObjectRef } from './object.ts';
import { isOfRevision } from './revision.ts';
import { pathTo, type Reading, readValue, report, unreadable } from './schema-check.ts';
import { closestName } from './suggestion.ts';

/** How an object is read. */
export interface CheckOptions {
  /**
   * What is said about fields that the schema lacks and about enum numbers without a name. `error`, the default, is for
   * people's files; `warning` for input that must not be lost; `ignore` for the webhook, because the API server has
   * pruned or refused such fields before, as Istio's webhook relies on.
   */
  readonly unknown?: 'error' | 'warning' | 'ignore';
  /** Namespace of namespaced objects that name none; `default` unless given. */
  readonly defaultNamespace?: string;
  /** Findings beyond this number are dropped; 100 unless given. */
  readonly maxFindings?: number;
  /** The revision that reads: mesh objects of another (revision.ts) are not looked at. Empty, the default, reads all. */
  readonly revision?: string;
}

/** A typed object, or only findings. With warnings there is still an object. */
export interface Checked {
  readonly object?: AnyObject;
  /** The object is another revision's: nothing is said of it. */
  readonly elsewhere?: true;
  readonly diagnostics: readonly Diagnostic[];
}

const maxDepth = 60;

/**
 * Reads `raw`, a JSON value, as an object of a known kind. The result shares nothing with `raw`; it holds what the
 * schema declares, by the names and in the forms that kinds/field.ts describes.
 */
export function checkObject(raw: unknown, options: CheckOptions = {}): Checked {
  const envelope = readEnvelope(raw);
  if ('problem' in envelope) return { diagnostics: [envelope.problem] };
  const { document, lookup } = envelope;
  const reading: Reading = {
    findings: [],
    unknown: options.unknown ?? 'error',
    maxFindings: options.maxFindings ?? 100,
    maxDepth,
  };
  const metadata = readMeta(reading, document['metadata'], lookup.def, options.defaultNamespace ?? 'default');
  if (metadata !== undefined && !isOfRevision(lookup.def, metadata.labels, options.revision ?? ''))
    return { elsewhere: true, diagnostics: [] };
  checkTopLevel(reading, document, lookup.def);
  const body = readValue(reading, lookup.def.body, bodyOf(document, lookup.def), '');
  const ref: ObjectRef = { kind: lookup.name, namespace: metadata?.namespace ?? '', name: metadata?.name ?? '' };
  const diagnostics = reading.findings.map((finding) => ({ ...finding, object: ref }));
  if (metadata === undefined || body === unreadable || hasErrors(diagnostics)) return { diagnostics };
  const object: ConfigObject = {
    apiVersion: String(document['apiVersion']),
    kind: lookup.name,
    metadata,
    ...(body as object),
  };
  return { object: object as AnyObject, diagnostics };
}

type Envelope =
  | { readonly problem: Diagnostic }
  | {
      readonly document: Readonly<Record<string, unknown>>;
      readonly lookup: Exclude<KindLookup, { found: 'nothing' }>;
    };

function readEnvelope(raw: unknown): Envelope {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    return { problem: errorOf('not-an-object', 'the document is not an object with apiVersion, kind and metadata') };
  }
  const document = raw as Readonly<Record<string, unknown>>;
  const { apiVersion, kind } = document;
  if (typeof apiVersion !== 'string' || apiVersion === '') {
    return { problem: errorOf('not-an-object', 'apiVersion must be set', { path: 'apiVersion' }) };
  }
  if (typeof kind !== 'string' || kind === '') {
    return { problem: errorOf('not-an-object', 'kind must be set', { path: 'kind' }) };
  }
  const lookup = kindOf(apiVersion, kind);
  if (lookup.found === 'nothing') return { problem: unknownKind(apiVersion, kind) };
  if (lookup.found === 'other-version') {
    const help = `use ${lookup.def.versions.map((version) => groupVersion(lookup.def, version)).join(', ')}`;
    const message = `${kind} is not known in ${clip(apiVersion)}`;
    return { problem: errorOf('unknown-version', message, { path: 'apiVersion', help }) };
  }
  return { document, lookup };
}

/** Objects of others, Deployments say, are none of our business; one of ours that is misspelt is worth a warning. */
function unknownKind(apiVersion: string, kind: string): Diagnostic {
  const group = apiVersion.slice(0, Math.max(apiVersion.lastIndexOf('/'), 0));
  const close = closestName(kind, kindNames);
  const meant = close === undefined ? undefined : kinds[close];
  const message = `${clip(kind)} of ${clip(apiVersion)} is not a kind that is read here`;
  const ours = group === 'istio.io' || group.endsWith('.istio.io') || meant?.group === group;
  const help = ours && meant !== undefined ? { help: `did you mean ${meant.kind} of ${latestOf(meant)}?` } : {};
  return { code: 'unknown-kind', severity: ours ? 'warning' : 'info', message, path: 'kind', ...help };
}

function latestOf(def: KindDef): string {
  return groupVersion(def, def.versions[0] ?? '');
}

function groupVersion(def: KindDef, version: string): string {
  return def.group === '' ? version : `${def.group}/${version}`;
}

function clip(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

const envelopeFields: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

/** Mesh kinds have a spec even where nothing stands in it. */
function bodyOf(document: Readonly<Record<string, unknown>>, def: KindDef): Readonly<Record<string, unknown>> {
  const declared = Object.keys(document).filter((key) => Object.hasOwn(def.body.properties, key));
  const body = Object.fromEntries(declared.map((key) => [key, document[key]]));
  return def.builtin || (body['spec'] !== undefined && body['spec'] !== null) ? body : { ...body, spec: {} };
}

/** Beside its body, an object has apiVersion, kind and metadata only; Istio's webhook refuses others in any case. */
function checkTopLevel(reading: Reading, document: Readonly<Record<string, unknown>>, def: KindDef): void {
  if (def.builtin) return;
  const allowed = [...envelopeFields, ...Object.keys(def.body.properties)];
  for (const key of Object.keys(document)) {
    if (allowed.includes(key)) continue;
    const close = closestName(key, allowed);
    const help = close === undefined ? 'fields of the kind stand under spec' : `did you mean ${close}?`;
    report(reading, 'error', 'unknown-field', 'there is no such field', pathTo('', key), help);
  }
}
