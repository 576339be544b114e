// The registry of kinds: every kind that Meltemi reads, by name.
import { authorizationPolicy } from './authorization-policy.ts';
import { configMap } from './config-map.ts';
import { deployment } from './deployment.ts';
import { destinationRule } from './destination-rule.ts';
import { endpointSlice } from './endpoint-slice.ts';
import { envoyFilter } from './envoy-filter.ts';
import { gateway } from './gateway.ts';
import { ingress } from './ingress.ts';
import { ingressClass } from './ingress-class.ts';
import type { KindDef, ObjectOfDef } from './kind.ts';
import { namespace } from './namespace.ts';
import { node } from './node.ts';
import { peerAuthentication } from './peer-authentication.ts';
import { pod } from './pod.ts';
import { proxyConfig } from './proxy-config.ts';
import { requestAuthentication } from './request-authentication.ts';
import { secret } from './secret.ts';
import { service } from './service.ts';
import { serviceAccount } from './service-account.ts';
import { serviceEntry } from './service-entry.ts';
import { sidecar } from './sidecar.ts';
import { telemetry } from './telemetry.ts';
import { trafficExtension } from './traffic-extension.ts';
import { virtualService } from './virtual-service.ts';
import { wasmPlugin } from './wasm-plugin.ts';
import { workloadEntry } from './workload-entry.ts';
import { workloadGroup } from './workload-group.ts';

/** Every kind by name. Names are unique across groups here; Kubernetes' own Gateway has its group's prefix. */
export const kinds = Object.freeze({
  Service: service,
  EndpointSlice: endpointSlice,
  Pod: pod,
  Namespace: namespace,
  Node: node,
  Secret: secret,
  ConfigMap: configMap,
  ServiceAccount: serviceAccount,
  Deployment: deployment,
  Ingress: ingress,
  IngressClass: ingressClass,
  VirtualService: virtualService,
  Gateway: gateway,
  AuthorizationPolicy: authorizationPolicy,
  DestinationRule: destinationRule,
  EnvoyFilter: envoyFilter,
  PeerAuthentication: peerAuthentication,
  ProxyConfig: proxyConfig,
  RequestAuthentication: requestAuthentication,
  ServiceEntry: serviceEntry,
  Sidecar: sidecar,
  Telemetry: telemetry,
  TrafficExtension: trafficExtension,
  WasmPlugin: wasmPlugin,
  WorkloadEntry: workloadEntry,
  WorkloadGroup: workloadGroup,
});

/** Name of a kind. */
export type KindName = keyof typeof kinds;

/** Names of all kinds, in the order of the table. */
export const kindNames: readonly KindName[] = Object.keys(kinds) as KindName[];

/** Typed object of a kind, by the kind's name. */
export type ObjectOf<K extends KindName> = ObjectOfDef<(typeof kinds)[K]>;

/** Typed object of any kind. */
export type AnyObject = { [K in KindName]: ObjectOf<K> }[KindName];

/** What an apiVersion and a kind name: a kind, a kind in a version that is not served, or nothing known. */
export type KindLookup =
  | { readonly found: 'kind'; readonly name: KindName; readonly def: KindDef }
  | { readonly found: 'other-version'; readonly name: KindName; readonly def: KindDef }
  | { readonly found: 'nothing' };

/** Looks up `networking.istio.io/v1` and `VirtualService`. */
export function kindOf(apiVersion: string, kind: string): KindLookup {
  const slash = apiVersion.lastIndexOf('/');
  const group = slash < 0 ? '' : apiVersion.slice(0, slash);
  if (!isKindName(kind) || kinds[kind].group !== group) return { found: 'nothing' };
  const def: KindDef = kinds[kind];
  return { found: def.versions.includes(apiVersion.slice(slash + 1)) ? 'kind' : 'other-version', name: kind, def };
}

/** Whether a text names a kind. */
export function isKindName(kind: string): kind is KindName {
  return Object.hasOwn(kinds, kind);
}

/** Whether an object is of a kind, by its `kind` (which the check has compared with its apiVersion). */
export function isOfKind<K extends KindName>(object: { readonly kind: string }, kind: K): object is ObjectOf<K> {
  return object.kind === kind;
}
