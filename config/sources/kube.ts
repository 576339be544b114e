// The Kubernetes source: one reflector a kind, objects checked and cut down on arrival, the last good version kept.
import { type Diagnostic, warningOf } from '../diagnostic.ts';
import { type AnyObject, type KindName, kindNames, kinds } from '../kinds/kinds.ts';
import type { KubeApi } from './kube-api.ts';
import { collectionPath } from './kube-path.ts';
import { type ReflectorSink, type ReflectorStatus, reflect } from './reflector.ts';
import type { CheckObject, ObjectChange, Source, SourceSink } from './source.ts';

/** Settings of a Kubernetes source. */
export interface KubeSourceOptions {
  readonly api: KubeApi;
  readonly check: CheckObject;
  /** Kinds that are not followed. */
  readonly without?: readonly KindName[];
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Follows all kinds until disposed; returns at once. `sink.status` tells when everything was read. */
export function startKubeSource(options: KubeSourceOptions, sink: SourceSink): Source {
  const { api, check, without = [], sleep, random, now } = options;
  const stop = new AbortController();
  const followed = kindNames.filter((kind) => !without.includes(kind));
  const statuses = new Map<KindName, ReflectorStatus>();
  let last = '';
  let lostSince: number | undefined;
  const report = (kind: KindName, status: ReflectorStatus): void => {
    statuses.set(kind, status);
    const all = [...statuses.values()];
    const synced = statuses.size === followed.length && all.every((one) => one.synced);
    const lost = [...statuses].filter(([, one]) => !one.connected);
    const message = lost
      .map(([name, one]) => `${name}: ${one.message}`)
      .join('; ')
      .slice(0, 1000);
    const state = `${synced}|${lost.length === 0}|${message}`;
    if (state === last) return;
    last = state;
    // The age of what is served: it counts from when the first watch was lost.
    lostSince = lost.length === 0 ? undefined : (lostSince ?? now());
    sink.status({
      synced,
      connected: lost.length === 0,
      since: lostSince ?? now(),
      ...(message === '' ? {} : { message }),
    });
  };
  sink.status({ synced: false, connected: false, since: now(), message: `reading ${api.origin}` });
  const running = followed.map((kind) =>
    reflect(
      { api, paths: pathsOf(kind), sleep, random, ...selectionOf(kind) },
      collector(kind, check, sink, (status) => report(kind, status)),
      stop.signal,
    ),
  );
  return {
    name: api.origin,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all(running);
    },
  };
}

/**
 * Objects that nobody reads are not even sent: Helm's records and tokens among Secrets, our own CA key, Kubernetes' own
 * roots in every namespace, and pods that have ended.
 */
const fieldSelectors: Partial<Record<KindName, readonly string[]>> = {
  Secret: ['helm.sh/release.v1', 'kubernetes.io/service-account-token', 'istio.io/ca-root'].map(
    (type) => `type!=${type}`,
  ),
  ConfigMap: ['metadata.name!=kube-root-ca.crt'],
  Pod: ['status.phase!=Succeeded', 'status.phase!=Failed'],
};

function selectionOf(kind: KindName): { readonly fieldSelector?: string } {
  const selectors = fieldSelectors[kind];
  return selectors === undefined ? {} : { fieldSelector: selectors.join(',') };
}

/** Collection paths of a kind, its preferred version first. */
function pathsOf(kind: KindName): readonly string[] {
  return kinds[kind].versions.map((version) => collectionPath(kind, version));
}

/** Checks what a reflector brings and hands it on in batches. */
function collector(
  kind: KindName,
  check: CheckObject,
  sink: SourceSink,
  status: (status: ReflectorStatus) => void,
): ReflectorSink {
  // Only keys: an object that becomes invalid is not handed on, so the store keeps its last good version by itself.
  const handedOn = new Set<string>();
  const reported = new Set<string>();
  let changes: ObjectChange[] = [];
  const tell = (key: string, diagnostics: readonly Diagnostic[]): void => {
    if (diagnostics.length > 0) reported.add(key);
    else if (!reported.delete(key)) return;
    sink.report(`${kind} ${key}`, diagnostics);
  };
  return {
    changed: (raw, key) => {
      const { object, diagnostics } = check(raw);
      if (object === undefined) {
        const kept = handedOn.has(key) ? [keptLastGood(kind, key)] : [];
        tell(key, [...diagnostics, ...kept]);
        return;
      }
      handedOn.add(key);
      tell(key, diagnostics);
      changes.push({ kind, key, object: object as AnyObject });
    },
    gone: (key) => {
      tell(key, []);
      if (handedOn.delete(key)) changes.push({ kind, key, object: undefined });
    },
    flush: () => {
      if (changes.length === 0) return;
      const batch = changes;
      changes = [];
      sink.apply(batch);
    },
    status,
  };
}

function keptLastGood(kind: KindName, key: string): Diagnostic {
  const slash = key.indexOf('/');
  return warningOf('kept-last-good', 'the last valid version stays in force', {
    object: { kind, namespace: key.slice(0, slash), name: key.slice(slash + 1) },
  });
}
