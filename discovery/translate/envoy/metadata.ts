// Metadata under the name `istio`, by which tools find the configuration behind a resource.
import { create, type JsonObject } from '@bufbuild/protobuf';
import { type Metadata, MetadataSchema } from '../../../protos/gen/envoy/config/core/v3/base_pb.js';

/** Metadata of one filter name. */
export function metadataOf(filter: string, value: JsonObject): Metadata {
  return create(MetadataSchema, { filterMetadata: { [filter]: value } });
}

/** Says which rule a resource comes from, as a Kubernetes API path. */
export function configMetadata(kind: string, namespace: string, name: string, version = 'v1'): Metadata {
  return metadataOf('istio', {
    config: `/apis/networking.istio.io/${version}/namespaces/${namespace}/${kind}/${name}`,
  });
}
