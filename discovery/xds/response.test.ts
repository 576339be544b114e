// Responses put together from shared frames, byte for byte what the protobuf library writes.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, test } from 'vitest';
import {
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
} from '../../protos/gen/envoy/service/discovery/v3/discovery_pb.ts';
import { encodeResource } from '../resource.ts';
import { encodeDelta, encodeSotw, ResourceHeaders } from './response.ts';

const typeUrl = 'type.googleapis.com/x';
const resources = [1, 2, 127, 128, 20_000].map((size, i) =>
  encodeResource(typeUrl, `näme-${i}`, Buffer.alloc(size, i)),
);
const headers = new ResourceHeaders();
const parts = { typeUrl, resources, removed: ['gone', 'went'], nonce: 'n1', controlPlane: '{"ID":"x"}' };

describe('responses', () => {
  test('delta', () => {
    const { bytes, framed, version } = encodeDelta(parts, headers);
    const message = fromBinary(DeltaDiscoveryResponseSchema, bytes);
    expect(message).toEqual(
      create(DeltaDiscoveryResponseSchema, {
        systemVersionInfo: version,
        typeUrl,
        nonce: 'n1',
        removedResources: ['gone', 'went'],
        controlPlane: { identifier: '{"ID":"x"}' },
        resources: resources.map(({ name, version, any }) => ({ name, version, resource: fromBinary(AnySchema, any) })),
      }),
    );
    expect(bytes.length).toBe(toBinary(DeltaDiscoveryResponseSchema, message).length);
    expect([framed[0], framed.readUInt32BE(1), framed.length]).toEqual([0, bytes.length, bytes.length + 5]);
  });

  test('state of the world', () => {
    const { bytes, version } = encodeSotw(parts, headers);
    expect(fromBinary(DiscoveryResponseSchema, bytes)).toEqual(
      create(DiscoveryResponseSchema, {
        versionInfo: version,
        typeUrl,
        nonce: 'n1',
        controlPlane: { identifier: '{"ID":"x"}' },
        resources: resources.map(({ any }) => fromBinary(AnySchema, any)),
      }),
    );
  });

  test('the version says what is carried, not when or to whom', () => {
    const version = encodeDelta(parts, headers).version;
    expect(encodeDelta({ ...parts, nonce: 'n2' }, headers).version).toBe(version);
    expect(encodeDelta({ ...parts, removed: ['gone'] }, headers).version).not.toBe(version);
    expect(encodeDelta({ ...parts, resources: resources.slice(1) }, headers).version).not.toBe(version);
  });
});
