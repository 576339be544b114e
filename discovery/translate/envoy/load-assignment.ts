// A cluster's endpoints for one client's place: chosen, grouped by locality, ranked, encoded from shared frames.
import { create, toBinary } from '@bufbuild/protobuf';
import { LocalityLbEndpointsSchema } from '../../../protos/gen/envoy/config/endpoint/v3/endpoint_components_pb.js';
import { ClusterLoadAssignmentSchema } from '../../../protos/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import type { Read } from '../../graph/graph.ts';
import { keyText } from '../../graph/key-text.ts';
import { mergedRule } from '../../model/traffic-policy.ts';
import { selects } from '../../model/workload.ts';
import { encodeField, encodeResource, joinBytes } from '../../resource.ts';
import { typeUrls } from '../../xds-types.ts';
import { resourceQuery } from '../translator.ts';
import { type EncodedEndpoint, encodedEndpoints, weighted } from './encoded-endpoint.ts';
import { type EndpointPolicy, type EndpointView, endpointPolicy, viewId } from './endpoint-view.ts';
import { firstOf, type LocalityGroup, localityGroups, rankedGroups } from './locality-groups.ts';
import { acrossNetworks } from './network-endpoints.ts';

/** Which assignment: of which cluster, for a client at which place. */
export interface AssignmentKey extends AssignmentParts {
  /** Text of the parts, made once. */
  readonly id: string;
}

/** The parts of a key. */
export interface AssignmentParts {
  readonly name: string;
  readonly service: string;
  readonly port: number;
  readonly subset: string;
  readonly rule: string;
  readonly view: EndpointView;
  /** Leaves out `unix://` endpoints, over which gRPC would refuse the whole assignment. */
  readonly socketsOnly?: boolean;
}

/** Endpoints that a cluster carries itself. */
interface InlineParts extends AssignmentParts {
  /** Only one: a cluster of LOGICAL_DNS is refused with more. */
  readonly single: boolean;
}

/** The key with these parts; the name says port and subset. */
export function assignmentKey(parts: AssignmentParts): AssignmentKey {
  const { name, service, port, subset, rule, view, socketsOnly } = parts;
  const id = `${name}|${service}|${rule}|${socketsOnly ? 'sockets' : ''}|${viewId(view)}`;
  return {
    id: keyText(id),
    name,
    service,
    port,
    subset,
    rule,
    view,
    ...(socketsOnly === undefined ? {} : { socketsOnly }),
  };
}

/** Endpoints of a cluster. */
export const loadAssignment = resourceQuery<AssignmentKey>(
  'load-assignment',
  (key) => key.id,
  (read, key) => encodeResource(typeUrls.endpoint, key.name, bytesOf(key, groupsOf(read, key))),
);

/** An assignment without endpoints: what a client gets that asks for an unknown name, so that it need not wait. */
export const emptyAssignment = resourceQuery<string>(
  'empty-assignment',
  (name) => name,
  (_read, name) => encodeResource(typeUrls.endpoint, name, headerOf(name)),
);

/** The serialised ClusterLoadAssignment of a cluster that carries its endpoints. */
export function inlineAssignment(read: Read, key: InlineParts): Uint8Array {
  const groups = groupsOf(read, key);
  return bytesOf(key, key.single ? firstOf(groups) : groups);
}

function groupsOf(read: Read, key: AssignmentParts): readonly LocalityGroup[] {
  const policy = read(endpointPolicy, key);
  const chosen = chosenEndpoints(read, key, policy);
  const members = acrossNetworks(read, chosen, key.view, key.name.startsWith('outbound_.'));
  return rankedGroups(localityGroups(members), policy, key.view);
}

function bytesOf({ name }: AssignmentParts, groups: readonly LocalityGroup[]): Uint8Array {
  return joinBytes([headerOf(name), ...groups.map((group) => encodeField(2, groupBytes(group)))]);
}

/** Labels of a subset; undefined where no rule has it. The empty subset is everything. */
export function subsetLabels(read: Read, rule: string, subset: string): Readonly<Record<string, string>> | undefined {
  if (subset === '') return {};
  const found = rule === '' ? undefined : read(mergedRule, rule)?.subsets.find(({ name }) => name === subset);
  return found === undefined ? undefined : (found.labels ?? {});
}

function chosenEndpoints(read: Read, key: AssignmentParts, policy: EndpointPolicy): readonly EncodedEndpoint[] {
  const { service, port, rule, view } = key;
  const labels = subsetLabels(read, rule, key.subset);
  if (labels === undefined) return [];
  return read(encodedEndpoints, { service, port, tls: policy.tls }).filter(({ endpoint }) => {
    if (key.socketsOnly && endpoint.address.startsWith('unix://')) return false;
    if (policy.nodeLocal && endpoint.nodeName !== view.nodeName) return false;
    if (policy.healthyOnly && endpoint.health === 'unhealthy') return false;
    return selects(labels, endpoint.labels);
  });
}

function headerOf(clusterName: string): Uint8Array {
  return toBinary(ClusterLoadAssignmentSchema, create(ClusterLoadAssignmentSchema, { clusterName }));
}

function groupBytes({ locality, priority, weight, members }: LocalityGroup): Uint8Array {
  const header = create(LocalityLbEndpointsSchema, {
    locality: { region: locality.region, zone: locality.zone, subZone: locality.subzone },
    priority,
    ...(weight > 0 ? { loadBalancingWeight: weight } : {}),
  });
  return joinBytes([
    toBinary(LocalityLbEndpointsSchema, header),
    ...members.map((member) => encodeField(2, weighted(member))),
  ]);
}
