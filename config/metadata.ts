// Reads an object's metadata, keeping what Meltemi reads (object.ts) and dropping the rest.
import { allBut, flag, int64, listOf, mapOf, message, required, text, type ValueOf } from './kinds/field.ts';
import type { KindDef } from './kinds/kind.ts';
import type { ObjectMeta } from './object.ts';
import { type Reading, readValue, report, unreadable } from './schema-check.ts';

const drop = { unknownFields: 'drop' } as const;

/** kubectl's copy of the whole object, the values of a Secret too. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

const metadata = message(
  'Object metadata of Kubernetes.',
  {
    name: text('Name.'),
    generateName: text('Prefix of a name that the API server completes.'),
    namespace: text('Namespace.'),
    labels: mapOf(text('Value.'), 'Labels.'),
    annotations: allBut(text('Value.'), [lastApplied], 'Annotations.'),
    creationTimestamp: text('When the object was created, RFC 3339.'),
    deletionTimestamp: text('When deletion was asked for, RFC 3339.'),
    resourceVersion: text('Version of the object.'),
    generation: int64('Version of the spec.'),
    uid: text('Unique id.'),
    ownerReferences: listOf(
      message(
        'An owner.',
        {
          apiVersion: required(text('Its apiVersion.')),
          kind: required(text('Its kind.')),
          name: required(text('Its name.')),
          uid: text('Its uid.'),
          controller: flag('Whether it controls the object.'),
        },
        drop,
      ),
      'Owners.',
    ),
  },
  drop,
);

/** A bound on what is kept; that names have at most 253 characters is the API server's to say. */
const longestName = 1024;

/**
 * Reads metadata; undefined, with findings, where there is no usable name or a type is wrong. A namespaced object
 * without a namespace gets `defaultNamespace`; a cluster-scoped one gets the empty namespace. An object that is yet to
 * be named by the API server (`generateName`) keeps that prefix as its name.
 */
export function readMeta(
  reading: Reading,
  value: unknown,
  def: KindDef,
  defaultNamespace: string,
): ObjectMeta | undefined {
  const read = readValue(reading, metadata, value ?? {}, 'metadata');
  if (read === unreadable) return undefined;
  const { generateName, ...meta } = read as ValueOf<typeof metadata>;
  const name = meta.name ?? generateName ?? '';
  if (name === '') {
    report(reading, 'error', 'not-an-object', 'the object needs a name', 'metadata.name');
    return undefined;
  }
  if (name.length > longestName || (meta.namespace?.length ?? 0) > longestName) {
    report(reading, 'error', 'invalid-value', `names have at most ${longestName} characters`, 'metadata');
    return undefined;
  }
  const namespace = def.scope === 'Cluster' ? '' : meta.namespace || defaultNamespace;
  return { ...meta, name, namespace };
}
