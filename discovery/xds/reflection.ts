// gRPC server reflection (grpc.reflection.v1 and v1alpha): lists the services and describes their messages to grpcurl.
import { type DescFile, toBinary } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';

/** Full names of the reflection services; both speak the same messages. */
export const reflectionServices = [
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
] as const;

/** What can be asked about. */
export interface Reflected {
  /** Full names of all services on the port. */
  readonly services: readonly string[];
  /** Files that define them; what they import is found through them. */
  readonly files: readonly DescFile[];
}

const notFound = 5;
const unimplemented = 12;

/** Answers one ServerReflectionRequest with one ServerReflectionResponse. Throws where the bytes are no message. */
export function reflect(request: Uint8Array, { services, files }: Reflected): Uint8Array {
  const { field, text, host } = readRequest(request);
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string(host);
  writer.tag(2, WireType.LengthDelimited).bytes(request);
  const file =
    field === 3
      ? allFiles(files).find(({ name }) => `${name}.proto` === text)
      : field === 4
        ? fileOf(files, text)
        : undefined;
  if (field === 7) writeServices(writer, services);
  else if (file !== undefined) writeFiles(writer, file);
  else writeError(writer, field === 3 || field === 4 ? notFound : unimplemented, `not known: ${text}`);
  return writer.finish();
}

function readRequest(bytes: Uint8Array): { readonly field: number; readonly text: string; readonly host: string } {
  const reader = new BinaryReader(bytes);
  let [field, text, host] = [0, '', ''];
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    if (number === 1) host = reader.string();
    else if (number === 3 || number === 4 || number === 7) [field, text] = [number, reader.string()];
    else {
      field = number;
      reader.skip(wire, number);
    }
  }
  return { field, text, host };
}

function writeServices(writer: BinaryWriter, services: readonly string[]): void {
  writer.tag(6, WireType.LengthDelimited).fork();
  for (const name of services) {
    writer.tag(1, WireType.LengthDelimited).fork().tag(1, WireType.LengthDelimited).string(name).join();
  }
  writer.join();
}

function writeFiles(writer: BinaryWriter, file: DescFile): void {
  writer.tag(4, WireType.LengthDelimited).fork();
  for (const each of allFiles([file])) {
    writer.tag(1, WireType.LengthDelimited).bytes(toBinary(FileDescriptorProtoSchema, each.proto));
  }
  writer.join();
}

function writeError(writer: BinaryWriter, code: number, message: string): void {
  writer.tag(7, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.Varint).int32(code).tag(2, WireType.LengthDelimited).string(message).join();
}

// Each file before those that it imports.
function allFiles(roots: readonly DescFile[]): readonly DescFile[] {
  const found = new Set<DescFile>();
  const walked = new Set<DescFile>();
  const walk = (file: DescFile): void => {
    if (walked.has(file)) return;
    walked.add(file);
    for (const dependency of file.dependencies) walk(dependency);
    found.add(file);
  };
  for (const root of roots) walk(root);
  return [...found].reverse();
}

// A symbol may also name a method, a field or an enum value: then its parent's file is meant.
function fileOf(roots: readonly DescFile[], symbol: string): DescFile | undefined {
  const files = allFiles(roots);
  for (let name = symbol; name !== ''; name = name.slice(0, Math.max(name.lastIndexOf('.'), 0))) {
    const file = files.find(({ services, messages, enums, extensions }) =>
      [...services, ...messages, ...enums, ...extensions].some(({ typeName }) => typeName === name),
    );
    if (file !== undefined) return file;
  }
  return undefined;
}
