// What a source of configuration is: it hands objects and findings to a sink, and says when it has read everything once.
import type { Checked } from '../check.ts';
import type { Diagnostic } from '../diagnostic.ts';
import type { AnyObject, KindName } from '../kinds/kinds.ts';
import type { Position } from '../object.ts';

/** One object that appeared, changed or went. */
export interface ObjectChange {
  readonly kind: KindName;
  /** `namespace/name`. */
  readonly key: string;
  /** Undefined: the object is gone. */
  readonly object: AnyObject | undefined;
  /** It is gone from here, but there: it has become another revision's. */
  readonly elsewhere?: true;
  /** Where it stands, for files. */
  readonly position?: Position;
}

/** Receives what a source finds. Calls are synchronous and never throw. */
export interface SourceSink {
  /** Objects that changed together. */
  readonly apply: (changes: readonly ObjectChange[]) => void;
  /** The findings about one unit (a file, an object); replaces what was reported for it before. Empty clears it. */
  readonly report: (unit: string, diagnostics: readonly Diagnostic[]) => void;
  /** How the source is doing. */
  readonly status: (status: SourceStatus) => void;
}

/** Health of a source. */
export interface SourceStatus {
  /** Everything was read at least once; before that nothing may be served from it. */
  readonly synced: boolean;
  /** Whether it hears of changes at the moment. */
  readonly connected: boolean;
  /** Since when that is so, in milliseconds since the epoch: of one that is out of touch, the age of what it told. */
  readonly since: number;
  readonly message?: string;
  /** Its parts by name, where they can fail one by one: the kinds of a cluster. */
  readonly parts?: Readonly<Record<string, PartStatus>>;
}

/** Health of a part of a source; see SourceStatus. */
export type PartStatus = Omit<SourceStatus, 'parts'>;

const longestTrouble = 1_000;

/** What is the matter with parts, those with the same trouble together: `Pod, Service: forbidden; Secret`. */
export function troubleOf(parts: Readonly<Record<string, PartStatus>>): string {
  const byMessage = new Map<string, string[]>();
  for (const [name, { message = '' }] of Object.entries(parts)) {
    const names = byMessage.get(message);
    if (names === undefined) byMessage.set(message, [name]);
    else names.push(name);
  }
  return [...byMessage]
    .map(([message, names]) => (message === '' ? names.join(', ') : `${names.join(', ')}: ${message}`))
    .join('; ')
    .slice(0, longestTrouble);
}

/** A running source; disposing it ends its watches. */
export interface Source extends AsyncDisposable {
  readonly name: string;
}

/** Checks one raw object: the typed object where it is usable, and findings. Positions are added by the source. */
export type CheckObject = (raw: unknown) => Checked;
