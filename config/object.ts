// The shape every configuration object has, whatever its source: Kubernetes' type and object metadata and a body.

/** Kubernetes object metadata, cut down to what Meltemi reads. Absent maps and lists are absent, not empty. */
export interface ObjectMeta {
  readonly name: string;
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** RFC 3339; absent in files. Conflicts are decided by age, then name, then namespace. */
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly uid?: string;
  readonly ownerReferences?: readonly OwnerReference[];
}

/** A Kubernetes owner reference (metav1.OwnerReference). */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid?: string;
  readonly controller?: boolean;
}

/** Where an object came from. `line` and `column` count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Any configuration object before its kind is known. */
export interface ConfigObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly spec?: unknown;
  readonly status?: unknown;
}

/** Names one object. */
export interface ObjectRef {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** The reference of an object. */
export function refOf(object: ConfigObject): ObjectRef {
  return { kind: object.kind, namespace: object.metadata.namespace, name: object.metadata.name };
}

/** `Kind namespace/name`, as messages and explanations print it. */
export function formatRef(ref: ObjectRef): string {
  return `${ref.kind} ${ref.namespace === '' ? '' : `${ref.namespace}/`}${ref.name}`;
}

/** Reads what `formatRef` writes at the start of a text; undefined where the text names no object of a namespace. */
export function parseRef(text: string): ObjectRef | undefined {
  const [, kind, namespace, name] = /^(\w+) ([^/\s]+)\/(\S+)/.exec(text) ?? [];
  return kind === undefined || namespace === undefined || name === undefined ? undefined : { kind, namespace, name };
}

/** `namespace/name`: an object's key within its kind. */
export function keyOf(meta: Pick<ObjectMeta, 'namespace' | 'name'>): string {
  return `${meta.namespace}/${meta.name}`;
}

/** Compares by UTF-16 code unit, the same on every machine (never by locale). */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Istio's order of precedence between objects that conflict: the older first, then by name, then by namespace.
 * Objects without a creation time are of the same age and older than those with one.
 */
export function compareAge(a: { readonly metadata: ObjectMeta }, b: { readonly metadata: ObjectMeta }): number {
  return (
    compareText(a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? '') ||
    compareText(a.metadata.name, b.metadata.name) ||
    compareText(a.metadata.namespace, b.metadata.namespace)
  );
}
