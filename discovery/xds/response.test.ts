// Responses put together from shared frames, byte for byte what the protobuf library writes.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, test } from 'vitest';
import {
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
} from '../../protos/gen/envoy/service/discovery/v3/discovery_pb.js';
import { anyBytesOf, encodeResource } from '../resource.ts';
import { bytesOf, deltaFrames, encodeDelta, encodeSotw, sotwFrames } from './response.ts';

const typeUrl = 'type.googleapis.com/x';
const resources = [1, 2, 127, 128, 20_000].map((size, i) =>
  encodeResource(typeUrl, `näme-${i}`, Buffer.alloc(size, i)),
);
const [delta, sotw] = [deltaFrames(), sotwFrames()];
const parts = { typeUrl, resources, removed: ['gone', 'went'], nonce: 'n1', controlPlane: '{"ID":"x"}' };

describe('responses', () => {
  test('delta', () => {
    const encoded = encodeDelta(parts, delta);
    const { version } = encoded;
    const bytes = bytesOf(encoded);
    const message = fromBinary(DeltaDiscoveryResponseSchema, bytes);
    expect(message).toEqual(
      create(DeltaDiscoveryResponseSchema, {
        systemVersionInfo: version,
        typeUrl,
        nonce: 'n1',
        removedResources: ['gone', 'went'],
        controlPlane: { identifier: '{"ID":"x"}' },
        resources: resources.map((resource) => ({
          name: resource.name,
          version: resource.version,
          resource: fromBinary(AnySchema, anyBytesOf(resource)),
        })),
      }),
    );
    expect(bytes.length).toBe(toBinary(DeltaDiscoveryResponseSchema, message).length);
    const framed = Buffer.concat(encoded.pieces);
    expect([framed[0], framed.readUInt32BE(1), framed.length]).toEqual([0, bytes.length, bytes.length + 5]);
    expect(encoded.size).toBe(bytes.length);
  });

  test('state of the world', () => {
    const encoded = encodeSotw(parts, sotw);
    const { version } = encoded;
    expect(fromBinary(DiscoveryResponseSchema, bytesOf(encoded))).toEqual(
      create(DiscoveryResponseSchema, {
        versionInfo: version,
        typeUrl,
        nonce: 'n1',
        controlPlane: { identifier: '{"ID":"x"}' },
        resources: resources.map((resource) => fromBinary(AnySchema, anyBytesOf(resource))),
      }),
    );
  });

  test('the version says what is carried, not when or to whom', () => {
    const version = encodeDelta(parts, delta).version;
    expect(encodeDelta({ ...parts, nonce: 'n2' }, delta).version).toBe(version);
    expect(encodeDelta({ ...parts, removed: ['gone'] }, delta).version).not.toBe(version);
    expect(encodeDelta({ ...parts, resources: resources.slice(1) }, delta).version).not.toBe(version);
  });

  test('lists that begin alike share their runs, and large resources are not copied', () => {
    const many = Array.from({ length: 40 }, (_, i) => encodeResource(typeUrl, `name-${i}`, Buffer.alloc(9, i)));
    const large = encodeResource(typeUrl, 'large', Buffer.alloc(20_000, 7));
    const one = encodeDelta({ ...parts, resources: [...many, large] }, delta);
    const other = encodeDelta({ ...parts, resources: many.slice(0, 34), nonce: 'n2' }, delta);
    expect(fromBinary(DeltaDiscoveryResponseSchema, bytesOf(one)).resources.map(({ name }) => name)).toEqual(
      [...many, large].map(({ name }) => name),
    );
    expect(fromBinary(DeltaDiscoveryResponseSchema, bytesOf(other)).resources).toHaveLength(34);
    expect(one.pieces.filter((piece) => other.pieces.includes(piece))).toHaveLength(2);
    expect(one.pieces).toContain(large.pieces[0]);
  });

  test('another resource in the middle of a run makes another run', () => {
    const many = Array.from({ length: 16 }, (_, i) => encodeResource(typeUrl, `name-${i}`, Buffer.alloc(9, i)));
    const changed = many.with(7, encodeResource(typeUrl, 'name-7', Buffer.alloc(9, 99)));
    const read = (resources: typeof many) =>
      fromBinary(DeltaDiscoveryResponseSchema, bytesOf(encodeDelta({ ...parts, resources }, delta))).resources;
    expect(read(many).map(({ version }) => version)).toEqual(many.map(({ version }) => version));
    expect(read(changed).map(({ version }) => version)).toEqual(changed.map(({ version }) => version));
  });
});
