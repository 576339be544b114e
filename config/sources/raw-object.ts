// What following objects needs to know of one as the API server sent it.

interface Meta {
  readonly metadata?: {
    readonly name?: unknown;
    readonly namespace?: unknown;
    readonly resourceVersion?: unknown;
    readonly uid?: unknown;
    readonly annotations?: Readonly<Record<string, unknown>>;
  };
}

/** `namespace/name`, with an empty namespace for what has none; undefined for what is no object. */
export function keyOf(raw: unknown): string | undefined {
  const { name, namespace } = (raw as Meta | undefined)?.metadata ?? {};
  return typeof name === 'string' ? `${typeof namespace === 'string' ? namespace : ''}/${name}` : undefined;
}

/** Its resourceVersion. */
export function versionOf(raw: unknown): string | undefined {
  const version = (raw as Meta | undefined)?.metadata?.resourceVersion;
  return typeof version === 'string' ? version : undefined;
}

/** What tells one state of an object from another: equal text, equal object. */
export function stateOf(raw: unknown): string | undefined {
  const { uid, resourceVersion } = (raw as Meta | undefined)?.metadata ?? {};
  return typeof uid === 'string' && typeof resourceVersion === 'string' ? `${uid} ${resourceVersion}` : undefined;
}

export function annotationOf(raw: unknown, name: string): unknown {
  return (raw as Meta | undefined)?.metadata?.annotations?.[name];
}
