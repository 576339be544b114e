// The Kubernetes source: one reflector a kind, objects checked and cut down on arrival, the last good version kept.
import { type Diagnostic, warningOf } from '../diagnostic.ts';
import { type AnyObject, type KindName, kindNames, kinds } from '../kinds/kinds.ts';
import type { KubeApi } from './kube-api.ts';
import { followHealth } from './kube-health.ts';
import { collectionPath } from './kube-path.ts';
import { type ReflectorSink, type ReflectorStatus, reflect } from './reflector.ts';
import { shareParts } from './shared-parts.ts';
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
  /** Told of each change of an object that counts, for metrics. */
  readonly heard?: (kind: KindName, event: KubeEvent) => void;
  /** Told of each attempt to read or follow a kind that failed. */
  readonly failed?: (kind: KindName) => void;
}

/** What happened to an object. */
export type KubeEvent = 'add' | 'update' | 'delete';

/** Follows all kinds until disposed; returns at once. `sink.status` tells when everything was read. */
export function startKubeSource(options: KubeSourceOptions, sink: SourceSink): Source {
  const { api, without = [], sleep, random, now, failed } = options;
  const stop = new AbortController();
  const followed = kindNames.filter((kind) => !without.includes(kind));
  const report = followHealth(followed, now, sink.status);
  const running = followed.map((kind) =>
    reflect(
      { api, paths: pathsOf(kind), builtin: kinds[kind].builtin, sleep, random, ...selectionOf(kind) },
      collector(kind, options, sink, (status) => {
        if (!status.connected) failed?.(kind);
        report(kind, status);
      }),
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
 * Objects that nobody reads are not even sent (and of the others the check keeps what is read): Helm's records and tokens among Secrets, our own CA key, Kubernetes' own
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
  { check, heard }: Pick<KubeSourceOptions, 'check' | 'heard'>,
  sink: SourceSink,
  status: (status: ReflectorStatus) => void,
): ReflectorSink {
  // Only keys: an object that becomes invalid is not handed on, so the store keeps its last good version by itself.
  const handedOn = new Set<string>();
  const reported = new Set<string>();
  let changes: ObjectChange[] = [];
  let last: unknown;
  const tell = (key: string, diagnostics: readonly Diagnostic[]): void => {
    if (diagnostics.length > 0) reported.add(key);
    else if (!reported.delete(key)) return;
    sink.report(`${kind} ${key}`, diagnostics);
  };
  const leave = (key: string): void => {
    if (!handedOn.has(key) && !reported.has(key)) return;
    tell(key, []);
    if (handedOn.delete(key)) heard?.(kind, 'delete');
    changes.push({ kind, key, object: undefined, elsewhere: true });
  };
  return {
    changed: (raw, key) => {
      const { object: checked, elsewhere, diagnostics } = check(raw);
      if (elsewhere) {
        leave(key);
        return;
      }
      if (checked === undefined) {
        const kept = handedOn.has(key) ? [keptLastGood(kind, key)] : [];
        tell(key, [...diagnostics, ...kept]);
        return;
      }
      heard?.(kind, handedOn.has(key) ? 'update' : 'add');
      handedOn.add(key);
      tell(key, diagnostics);
      const object = shareParts(checked, last);
      last = object;
      changes.push({ kind, key, object: object as AnyObject });
    },
    gone: (key) => {
      tell(key, []);
      if (!handedOn.delete(key)) return;
      heard?.(kind, 'delete');
      changes.push({ kind, key, object: undefined });
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
