// CustomResourceDefinitions from the kinds: structural schemas with what Istio's users rely on in theirs.
import type { TSchema } from 'typebox';
import { openApiOf } from './crd-schema.ts';
import type { KindDef } from './kinds/kind.ts';
import { kinds } from './kinds/kinds.ts';

/** A CustomResourceDefinition as JSON (apiextensions.k8s.io/v1). */
export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly group: string;
    readonly names: object;
    readonly scope: 'Namespaced' | 'Cluster';
    readonly versions: readonly object[];
  };
}

/** The definitions of all mesh kinds, in the order of their names. */
export function customResourceDefinitions(): readonly CustomResourceDefinition[] {
  return (Object.values(kinds) as readonly KindDef[])
    .filter((def) => !def.builtin)
    .map(customResourceDefinitionOf)
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** The definition of one kind. All served versions have one schema, so that objects need no conversion between them. */
export function customResourceDefinitionOf(def: KindDef): CustomResourceDefinition {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${def.plural}.${def.group}`,
      labels: { 'app.kubernetes.io/name': 'meltemi', 'app.kubernetes.io/component': 'crds' },
      // Uninstalling a release must not delete everybody's configuration.
      annotations: { 'helm.sh/resource-policy': 'keep' },
    },
    spec: {
      group: def.group,
      names: {
        kind: def.kind,
        listKind: `${def.kind}List`,
        plural: def.plural,
        singular: def.singular,
        ...(def.shortNames.length === 0 ? {} : { shortNames: def.shortNames }),
        ...(def.categories.length === 0 ? {} : { categories: def.categories }),
      },
      scope: def.scope,
      versions: def.versions.map((name, index) => versionOf(def, name, index === 0)),
    },
  };
}

function versionOf(def: KindDef, name: string, storage: boolean): object {
  return {
    name,
    served: true,
    storage,
    ...(def.printerColumns.length === 0 ? {} : { additionalPrinterColumns: def.printerColumns }),
    subresources: { status: {} },
    schema: { openAPIV3Schema: openApiOf(def.body as TSchema) },
  };
}
