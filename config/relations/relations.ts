// What can be said of an object only among the others: references without a target, and objects that override each other.
import type { Diagnostic } from '../diagnostic.ts';
import type { AnyObject, KindName, ObjectOf } from '../kinds/kinds.ts';
import { type ConfigObject, refOf } from '../object.ts';
import { relateDestinationRule, relateGateway, relateProviders, relateSingle, relateTargets } from './others.ts';
import type { Surroundings } from './view.ts';
import { relateVirtualService } from './virtual-service.ts';

type Relation<K extends KindName> = (object: ObjectOf<K>, around: Surroundings) => readonly Diagnostic[];
type Relations = { readonly [K in KindName]?: Relation<K> };

/** Relations by kind. A kind that is missing has none. */
const relations: Relations = {
  VirtualService: relateVirtualService,
  Gateway: relateGateway,
  DestinationRule: relateDestinationRule,
  Sidecar: relateSingle,
  PeerAuthentication: relateSingle,
  RequestAuthentication: relateTargets,
  AuthorizationPolicy: (policy, around) => [...relateTargets(policy, around), ...relateProviders(policy, around)],
  Telemetry: (telemetry, around) => [...relateTargets(telemetry, around), ...relateProviders(telemetry, around)],
  WasmPlugin: relateTargets,
};

/**
 * What is missing around an object, or overrides it. All findings are warnings, since the other object may come later.
 * The object itself may be among the others, in this state or an older one.
 */
export function relate(object: AnyObject, around: Surroundings): readonly Diagnostic[] {
  // The table pairs each kind's name with a function for that kind, which a look-up by a variable cannot express.
  const relation = relations[object.kind] as
    | ((object: AnyObject, around: Surroundings) => readonly Diagnostic[])
    | undefined;
  const ref = refOf(object as ConfigObject);
  return (relation?.(object, around) ?? []).map((finding) => ({ ...finding, object: ref }));
}
