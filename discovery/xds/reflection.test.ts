// Reflection answers, read back with the descriptors they carry.
import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, test } from 'vitest';
import { file_envoy_service_discovery_v3_ads as ads } from '../../protos/gen/envoy/service/discovery/v3/ads_pb.js';
import { reflect } from './reflection.ts';

const service = 'envoy.service.discovery.v3.AggregatedDiscoveryService';
const reflected = { services: [service], files: [ads] };
const ask = (field: number, text: string): Uint8Array =>
  reflect(new BinaryWriter().tag(field, WireType.LengthDelimited).string(text).finish(), reflected);

/** Fields of a message as bytes by number. */
function fieldsOf(bytes: Uint8Array): ReadonlyMap<number, readonly Uint8Array[]> {
  const fields = new Map<number, Uint8Array[]>();
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    if (wire === WireType.LengthDelimited) fields.set(number, [...(fields.get(number) ?? []), reader.bytes()]);
    else reader.skip(wire, number);
  }
  return fields;
}

const inner = (bytes: Uint8Array, field: number): readonly Uint8Array[] =>
  (fieldsOf(bytes).get(field) ?? []).flatMap((value) => fieldsOf(value).get(1) ?? []);

describe('reflection', () => {
  test('lists services', () => {
    const names = inner(ask(7, ''), 6).map((value) => Buffer.from(fieldsOf(value).get(1)?.[0] ?? value).toString());
    expect(names.join()).toContain(service);
  });

  test.each([service, `${service}.DeltaAggregatedResources`, 'envoy.service.discovery.v3.DeltaDiscoveryRequest'])(
    'describes %s with everything it imports',
    (symbol) => {
      const file = inner(ask(4, symbol), 4).map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
      const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: file.toReversed() }));
      expect(registry.getMessage('envoy.config.core.v3.Node')).toBeDefined();
    },
  );

  test('finds a file by name, and says what it does not know', () => {
    expect(inner(ask(3, 'envoy/service/discovery/v3/ads.proto'), 4).length).toBeGreaterThan(1);
    expect(fieldsOf(ask(4, 'no.such.Symbol')).has(7)).toBe(true);
    expect(fieldsOf(ask(5, 'x')).has(7)).toBe(true);
  });
});
