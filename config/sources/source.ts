// What a source of configuration is: it hands objects and findings to a sink, and says when it has read everything once.
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
  /** When it last did, in milliseconds since the epoch. */
  readonly since: number;
  readonly message?: string;
}

/** A running source; disposing it ends its watches. */
export interface Source extends AsyncDisposable {
  readonly name: string;
}

/** Checks one raw object: the typed object where it is usable, and findings. Positions are added by the source. */
export type CheckObject = (raw: unknown) => {
  readonly object?: AnyObject;
  readonly diagnostics: readonly Diagnostic[];
};
