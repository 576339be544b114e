// What can be said of an object only among the others: references without a target, and objects that override each other.
import type { Diagnostic } from '../diagnostic.ts';
import { type AnyObject, type KindName, kindNames, type ObjectOf } from '../kinds/kinds.ts';
import { type ConfigObject, refOf } from '../object.ts';
import { mayDelegate } from './delegation.ts';
import { relateDestinationRule, relateGateway, relateProviders, relateSingle, relateTargets } from './others.ts';
import { relateServiceEntry, relateWorkloadEntry } from './registry.ts';
import type { Surroundings } from './view.ts';
import { relateVirtualService } from './virtual-service.ts';

interface Relation<K extends KindName> {
  readonly relate: (object: ObjectOf<K>, around: Surroundings) => readonly Diagnostic[];
  /** Kinds that are looked at. The mesh's settings are in a ConfigMap. */
  readonly among: readonly KindName[];
  /** Whether a change of one of the same kind in a namespace may concern the object; all are concerned where it is absent. */
  readonly isNear?: (object: ObjectOf<K>, namespace: string) => boolean;
}
type Relations = { readonly [K in KindName]?: Relation<K> };

const targets = ['Service', 'ServiceEntry'] as const;

/** Relations by kind. A kind that is missing has none. */
const relations: Relations = {
  VirtualService: {
    relate: relateVirtualService,
    among: ['Gateway', 'Service', 'ServiceEntry', 'DestinationRule', 'VirtualService', 'ConfigMap'],
    // Hosts are compared within a namespace, and only delegates and those that delegate meet over namespaces.
    isNear: (object, namespace) => isOfNamespace(object, namespace) || mayDelegate(object),
  },
  Gateway: { relate: relateGateway, among: ['Pod', 'Secret'] },
  DestinationRule: { relate: relateDestinationRule, among: ['Service', 'ServiceEntry', 'DestinationRule'] },
  ServiceEntry: { relate: relateServiceEntry, among: ['Service'] },
  WorkloadEntry: { relate: relateWorkloadEntry, among: targets },
  Sidecar: { relate: relateSingle, among: ['Sidecar'], isNear: isOfNamespace },
  PeerAuthentication: { relate: relateSingle, among: ['PeerAuthentication'], isNear: isOfNamespace },
  RequestAuthentication: { relate: relateTargets, among: targets },
  AuthorizationPolicy: {
    relate: (policy, around) => [...relateTargets(policy, around), ...relateProviders(policy, around)],
    among: [...targets, 'ConfigMap'],
  },
  Telemetry: {
    relate: (telemetry, around) => [...relateTargets(telemetry, around), ...relateProviders(telemetry, around)],
    among: [...targets, 'ConfigMap'],
  },
  WasmPlugin: { relate: relateTargets, among: targets },
};

/**
 * What is missing around an object, or overrides it. All findings are warnings, since the other object may come later.
 * The object itself may be among the others, in this state or an older one.
 */
export function relate(object: AnyObject, around: Surroundings): readonly Diagnostic[] {
  // The table pairs each kind's name with a function for that kind, which a look-up by a variable cannot express.
  const relation = relations[object.kind]?.relate as
    | ((object: AnyObject, around: Surroundings) => readonly Diagnostic[])
    | undefined;
  const ref = refOf(object as ConfigObject);
  return (relation?.(object, around) ?? []).map((finding) => ({ ...finding, object: ref }));
}

/** Whether something else may be found of an object when another of its kind changes in a namespace. */
export function isNear(object: AnyObject, namespace: string): boolean {
  const near = relations[object.kind]?.isNear as ((object: AnyObject, namespace: string) => boolean) | undefined;
  return near?.(object, namespace) ?? true;
}

/** The kinds that have relations. */
export const relatingKinds: readonly KindName[] = kindNames.filter((kind) => relations[kind] !== undefined);

/** The kinds of which something else may be found when an object of the given kind changes. */
export function relatedKinds(changed: KindName): readonly KindName[] {
  return kindNames.filter((kind) => relations[kind]?.among.includes(changed));
}

function isOfNamespace({ metadata }: ConfigObject, namespace: string): boolean {
  return metadata.namespace === namespace;
}
