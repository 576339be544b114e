// Every message type we generate, by name: for JSON with Any inside. Loads all of protos/gen, so import it lazily on servers.
import { createRegistry, type Registry } from '@bufbuild/protobuf';
import { files } from './gen/files.js';

/** The registry of all generated types. */
export const registry: Registry = createRegistry(...files);
