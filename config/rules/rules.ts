// The rules of each kind: what a schema cannot say, found by pure functions from an object to findings.
import type { Registry } from '@bufbuild/protobuf';
import type { AnyObject, KindName, ObjectOf } from '../kinds/kinds.ts';
import { checkAuthorizationPolicy } from './authorization-policy.ts';
import { checkConfigMap } from './config-map.ts';
import { checkDestinationRule } from './destination-rule.ts';
import { checkEndpointSlice } from './endpoint-slice.ts';
import { checkEnvoyFilter } from './envoy-filter.ts';
import { checkTrafficExtension, checkWasmPlugin } from './extensions.ts';
import type { Findings } from './finding.ts';
import { checkGateway } from './gateway.ts';
import { checkIngress } from './ingress.ts';
import { checkPeerAuthentication } from './peer-authentication.ts';
import { checkProxyConfig } from './proxy-config.ts';
import { checkRequestAuthentication } from './request-authentication.ts';
import { checkSecret } from './secret.ts';
import { checkService } from './service.ts';
import { checkServiceEntry } from './service-entry.ts';
import { checkSidecar } from './sidecar.ts';
import { checkTelemetry } from './telemetry.ts';
import { checkTrafficDistribution } from './traffic-distribution.ts';
import { checkVirtualService } from './virtual-service.ts';
import { checkWorkloadEntry, checkWorkloadGroup } from './workload.ts';

/** What rules may need beside the object. */
export interface RuleContext {
  /** Envoy's messages by name; without them an EnvoyFilter's values are not looked into. */
  readonly envoyTypes?: Registry;
  /** Name of a ConfigMap with mesh configuration beside those that are called `istio` (SHARED_MESH_CONFIG). */
  readonly sharedMeshConfig?: string;
}

type Rules = { readonly [K in KindName]?: (object: ObjectOf<K>, context: RuleContext) => Findings };

/** Rules by kind. A kind that is missing has none. */
const rules: Rules = {
  ConfigMap: (object, { sharedMeshConfig }) => checkConfigMap(object, sharedMeshConfig),
  Secret: checkSecret,
  Namespace: ({ metadata }) => checkTrafficDistribution(metadata),
  Service: checkService,
  EndpointSlice: checkEndpointSlice,
  Ingress: checkIngress,
  VirtualService: checkVirtualService,
  Gateway: checkGateway,
  DestinationRule: checkDestinationRule,
  ServiceEntry: checkServiceEntry,
  WorkloadEntry: checkWorkloadEntry,
  WorkloadGroup: checkWorkloadGroup,
  Sidecar: checkSidecar,
  PeerAuthentication: checkPeerAuthentication,
  RequestAuthentication: checkRequestAuthentication,
  AuthorizationPolicy: checkAuthorizationPolicy,
  EnvoyFilter: (filter, { envoyTypes }) => checkEnvoyFilter(filter, envoyTypes),
  Telemetry: checkTelemetry,
  WasmPlugin: checkWasmPlugin,
  TrafficExtension: checkTrafficExtension,
  ProxyConfig: checkProxyConfig,
};

/** What the rules of its kind find in an object. */
export function findingsOf(object: AnyObject, context: RuleContext = {}): Findings {
  // The table pairs each kind's name with a rule for that kind, which a look-up by a variable cannot express.
  const rule = rules[object.kind] as ((object: AnyObject, context: RuleContext) => Findings) | undefined;
  return rule === undefined ? [] : rule(object, context);
}
