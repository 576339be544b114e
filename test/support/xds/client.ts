// xDS clients for tests: a book of what a client holds, fed by responses, without sockets or over gRPC.
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { NodeSchema } from '../../../protos/gen/envoy/config/core/v3/base_pb.js';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  type DeltaDiscoveryRequestSchema as DeltaSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  type DiscoveryRequestSchema as SotwSchema,
} from '../../../protos/gen/envoy/service/discovery/v3/discovery_pb.js';

/** A response in the terms of a test. */
export interface Received {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly version: string;
  /** Text by name. */
  readonly resources: ReadonlyMap<string, string>;
  readonly versions: ReadonlyMap<string, string>;
  readonly removed: readonly string[];
  readonly bytes: number;
}

/** Node init of a sidecar. */
export function sidecarNode(name = 'app', namespace = 'default'): MessageInitShape<typeof NodeSchema> {
  return {
    id: `sidecar~10.0.0.1~${name}.${namespace}~${namespace}.svc.cluster.local`,
    metadata: { NAMESPACE: namespace, CLUSTER_ID: 'Kubernetes', INSTANCE_IPS: '10.0.0.1' },
  };
}

/** Encodes a DeltaDiscoveryRequest. */
export function deltaRequest(init: MessageInitShape<typeof DeltaSchema>): Buffer {
  return Buffer.from(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, init)));
}

/** Encodes a DiscoveryRequest. */
export function sotwRequest(init: MessageInitShape<typeof SotwSchema>): Buffer {
  return Buffer.from(toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, init)));
}

/** Decodes a DeltaDiscoveryResponse. */
export function readDelta(bytes: Uint8Array): Received {
  const response = fromBinary(DeltaDiscoveryResponseSchema, bytes);
  return {
    typeUrl: response.typeUrl,
    nonce: response.nonce,
    version: response.systemVersionInfo,
    resources: new Map(response.resources.map((r) => [r.name, Buffer.from(r.resource?.value ?? []).toString()])),
    versions: new Map(response.resources.map((r) => [r.name, r.version])),
    removed: response.removedResources,
    bytes: bytes.length,
  };
}

/** Decodes a DiscoveryResponse. */
export function readSotw(bytes: Uint8Array): Received {
  const response = fromBinary(DiscoveryResponseSchema, bytes);
  return {
    typeUrl: response.typeUrl,
    nonce: response.nonce,
    version: response.versionInfo,
    resources: new Map(response.resources.map(({ value }) => [nameOf(value), Buffer.from(value).toString()])),
    versions: new Map(),
    removed: [],
    bytes: bytes.length,
  };
}

/** Fake resources are `name=text`. In real ones, which begin with a tag, the name is field 1 wherever it stands. */
function nameOf(value: Uint8Array): string {
  if ((value[0] ?? 0) >= 32) return Buffer.from(value).toString().split('=', 1)[0] ?? '';
  const reader = new BinaryReader(value);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1) return reader.string();
    reader.skip(type, field);
  }
  return '';
}
