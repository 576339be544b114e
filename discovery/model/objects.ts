// The graph's inputs: configuration objects by kind and `namespace/name`, mesh configuration, and facts of the process.
import { isDeepStrictEqual } from 'node:util';
import type { MeshStatus } from '../../config/kinds/common.ts';
import type { ConfigMap } from '../../config/kinds/config-map.ts';
import { isKindName, type KindName, kinds, type ObjectOf } from '../../config/kinds/kinds.ts';
import { defaultMeshConfig, type MeshConfig, parseMeshConfig } from '../../config/mesh.ts';
import type { ConfigObject } from '../../config/object.ts';
import { type Input, input, query, type Read } from '../graph/graph.ts';

/** Inputs by kind. What carries no meaning for the mesh (resourceVersion, what others are told) does not count as a change. */
export type ObjectInputs = { readonly [K in KindName]: Input<string, ObjectOf<K> | undefined> };

/** One input a kind. */
export const objects: ObjectInputs = Object.fromEntries(
  Object.keys(kinds).map((kind) => [kind, input<ConfigObject>(kind, sameObject)]),
) as unknown as ObjectInputs;

/** A mesh configuration that takes the ConfigMap's place; its only key is `mesh`. */
export const meshInput = input<MeshConfig>('mesh');

/** Facts fixed at start: the key is the fact's name. */
export const factsInput = input<ProcessFacts>('facts');

/** What the process knows besides objects. */
export interface ProcessFacts {
  /** Id of the cluster whose API server (or folder) feeds us. */
  readonly cluster: string;
  /** DNS domain of services, `cluster.local`. */
  readonly domain: string;
  /** Domain that completes short names in rules, where it is not `domain`; '' leaves `name.namespace`. */
  readonly ruleDomain?: string;
  readonly systemNamespace: string;
  readonly revision?: string;
  /** Name of a ConfigMap over which the mesh configuration is laid. */
  readonly sharedMeshConfig?: string;
  /** Behaviour switches by istiod's environment names, only those that differ from their default. */
  readonly features: Readonly<Record<string, string>>;
}

/**
 * The mesh configuration: what was written to `meshInput`, or else the ConfigMap `istio` of the system namespace over the
 * shared one over the defaults. A ConfigMap that does not parse was refused by its source, which kept the last good.
 */
export const mesh = query('mesh-config', (read, _key: 'mesh'): MeshConfig => {
  const written = read(meshInput, 'mesh');
  if (written !== undefined) return written;
  return meshTexts(read, 'mesh').reduce(
    (base, text) => parseMeshConfig(text, { base }).mesh ?? base,
    defaultMeshConfig,
  );
});

/** The texts of a key in the ConfigMaps with mesh configuration, the shared one (SHARED_MESH_CONFIG) first. */
export function meshTexts(read: Read, key: 'mesh' | 'meshNetworks'): readonly string[] {
  const { systemNamespace, revision = '', sharedMeshConfig } = read(facts, 'facts');
  const shared = sharedMeshConfig === undefined ? undefined : `${systemNamespace}/${sharedMeshConfig}`;
  return [shared, meshConfigMapKey({ systemNamespace, revision })].flatMap((name) => {
    const text = name === undefined ? undefined : read(objects.ConfigMap, name)?.data?.[key];
    return text === undefined ? [] : [text];
  });
}

/** The mesh configuration in a ConfigMap, over the defaults; these alone where there is none. */
export function meshOf(configMap: ConfigMap | undefined): MeshConfig {
  const text = configMap?.data?.['mesh'];
  return (text === undefined ? undefined : parseMeshConfig(text).mesh) ?? defaultMeshConfig;
}

/** Key of the ConfigMap that holds the mesh configuration: `istio`, or `istio-<revision>`. */
export function meshConfigMapKey({
  systemNamespace,
  revision,
}: Pick<ProcessFacts, 'systemNamespace' | 'revision'>): string {
  return `${systemNamespace}/istio${revision === undefined || revision === '' || revision === 'default' ? '' : `-${revision}`}`;
}

/** The process's facts. */
export const facts = query('process-facts', (read, _key: 'facts') => {
  const value = read(factsInput, 'facts');
  if (value === undefined) throw new Error('the process facts were never written');
  return value;
});

/** The domain that completes short host names in VirtualServices and DestinationRules. */
export const ruleDomain = query('rule-domain', (read, _key: 'facts'): string => {
  const { domain, ruleDomain: own } = read(facts, 'facts');
  return own ?? domain;
});

function sameObject(a: ConfigObject, b: ConfigObject): boolean {
  return a === b || isDeepStrictEqual(meaningOf(a), meaningOf(b));
}

function meaningOf(object: ConfigObject): unknown {
  const { resourceVersion: _resourceVersion, generation: _generation, ...metadata } = object.metadata;
  return { ...object, metadata, status: statusMeant(object) };
}

/** Of a mesh object's status only a ServiceEntry's addresses and a WorkloadEntry's health are read: the rest is for people. */
function statusMeant({ kind, status }: ConfigObject): unknown {
  if (!isKindName(kind) || kinds[kind].builtin) return status;
  const { addresses, conditions = [] } = (status ?? {}) as MeshStatus;
  if (kind === 'ServiceEntry') return addresses;
  return kind === 'WorkloadEntry' ? conditions.find(({ type }) => type === 'Healthy')?.status : undefined;
}
