// Brings the status of one mesh object up to date: reads it, judges exactly what it read, and patches what differs.
import { hasErrors } from '../../config/diagnostic.ts';
import { isKindName, type KindName, kinds } from '../../config/kinds/kinds.ts';
import { keyOf, parseRef } from '../../config/object.ts';
import { relate } from '../../config/relations/relations.ts';
import type { Surroundings } from '../../config/relations/view.ts';
import type { KubeApi } from '../../config/sources/kube-api.ts';
import { objectPath } from '../../config/sources/kube-path.ts';
import type { CheckObject } from '../../config/sources/source.ts';
import type { Store } from '../../config/store.ts';
import { Pace } from './pace.ts';
import { refusal } from './refusal.ts';
import { type Judgement, statusPatch } from './status-patch.ts';

/** What writing needs. Times in milliseconds. */
export interface StatusWriterOptions {
  readonly api: Pick<KubeApi, 'send'>;
  readonly store: Pick<Store, 'get'>;
  /** The check that the store's source does. */
  readonly check: CheckObject;
  /** What objects are judged among. */
  readonly surroundings: () => Surroundings;
  /** What proxies do with what is made of the object. */
  readonly rejectionOf: (ref: string) => Judgement['rejection'];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly written: () => void;
}

/** An object as the API server has it, as far as it matters here. */
interface RawObject {
  readonly metadata?: { readonly resourceVersion?: string; readonly generation?: number };
  readonly status?: unknown;
}

/** Writes statuses by `Kind namespace/name`. */
export interface StatusWriter {
  /**
   * Writes if need be. Gives the milliseconds after which it must be looked at again, undefined: never of itself.
   * Rejects where the API server refuses or does not answer.
   */
  readonly write: (ref: string) => Promise<number | undefined>;
}

/** Creates a writer. */
export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { api, store, check, surroundings, rejectionOf, now } = options;
  const pace = new Pace(now);
  /** The version in which the API server has a kind. */
  const versions = new Map<KindName, string>();

  /** An object and its path; undefined where it is gone. */
  const read = async (ref: string): Promise<{ raw: RawObject; path: string } | undefined> => {
    const { kind, namespace, name } = parseRef(ref) ?? { kind: '', namespace: '', name: '' };
    if (!isKindName(kind)) return undefined;
    const known = versions.get(kind);
    for (const version of known === undefined ? kinds[kind].versions : [known]) {
      const path = objectPath(kind, version, namespace, name);
      const answer = await api.send('GET', path);
      if (answer.status === 404) continue;
      if (answer.status !== 200) throw refusal(answer);
      versions.set(kind, version);
      return { raw: answer.body as RawObject, path };
    }
    // The kind may have moved to another version.
    versions.delete(kind);
    return undefined;
  };

  const judge = (ref: string, raw: RawObject): Judgement => {
    const { object, elsewhere, diagnostics } = check(raw);
    // Of another revision's object we take back what we said while it was ours.
    if (elsewhere) return { findings: [], keptLastGood: false, rejection: undefined };
    const { kind, ...meta } = parseRef(ref) ?? { kind: '', namespace: '', name: '' };
    return {
      findings: object === undefined ? diagnostics : [...diagnostics, ...relate(object, surroundings())],
      keptLastGood: hasErrors(diagnostics) && isKindName(kind) && store.get(kind, keyOf(meta)) !== undefined,
      rejection: rejectionOf(ref),
    };
  };

  return {
    write: async (ref) => {
      const delay = pace.delayOf(ref);
      if (delay > 0) return delay;
      const found = await read(ref);
      if (found === undefined) return undefined;
      const { raw, path } = found;
      const { resourceVersion, generation } = raw.metadata ?? {};
      const patch = statusPatch(raw.status, judge(ref, raw), { now: now(), generation });
      if (patch === undefined) return undefined;
      // With the version that was judged: whoever changed the object meanwhile makes this a conflict.
      const body = { metadata: { resourceVersion }, status: patch };
      const answer = await api.send('PATCH', `${path}/status`, body, 'application/merge-patch+json');
      if (answer.status === 409) return 0;
      // Gone, or its definition has no status.
      if (answer.status === 404) return undefined;
      if (answer.status !== 200) throw refusal(answer);
      pace.wrote(ref);
      options.written();
      return undefined;
    },
  };
}
