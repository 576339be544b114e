// Small pieces of protobuf that every translation needs: packed messages, structs and durations.
import { create, type DescMessage, type JsonObject, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type Any, AnySchema, type Duration, DurationSchema } from '@bufbuild/protobuf/wkt';
import { parseDuration } from '../../../config/duration.ts';
import { TypedStructSchema } from '../../../protos/gen/udpa/type/v1/typed_struct_pb.js';

/** A message inside google.protobuf.Any. */
export function packed<D extends DescMessage>(schema: D, init: MessageInitShape<D>): Any {
  const value = toBinary(schema, create(schema, init) as never);
  return create(AnySchema, { typeUrl: `type.googleapis.com/${schema.typeName}`, value });
}

/** Configuration of an extension whose message only istio-proxy knows, as a struct under its type URL. */
export function typedStruct(typeUrl: string, value: JsonObject): Any {
  return packed(TypedStructSchema, { typeUrl, value });
}

/** A duration as text (`5s`) for the wire; undefined where it cannot be read. */
export function wireDuration(text: string | undefined): Duration | undefined {
  const parsed = text === undefined ? undefined : parseDuration(text);
  if (parsed === undefined) return undefined;
  return create(DurationSchema, { seconds: BigInt(parsed.seconds), nanos: parsed.nanos });
}

/** A duration of whole seconds. */
export function seconds(count: number): Duration {
  return create(DurationSchema, { seconds: BigInt(count) });
}
