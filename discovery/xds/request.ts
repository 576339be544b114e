// A client's request in the form the protocol rules work on, decoded from the wire with bounds.
import { fromBinary } from '@bufbuild/protobuf';
import type { Node } from '../../protos/gen/envoy/config/core/v3/base_pb.js';
import {
  DeltaDiscoveryRequestSchema,
  DiscoveryRequestSchema,
} from '../../protos/gen/envoy/service/discovery/v3/discovery_pb.js';

/** State of the world, or only differences: decided by the method that opened the stream. */
export type Variant = 'sotw' | 'delta';

/** What both variants have in common. */
interface CommonRequest {
  readonly typeUrl: string;
  /** Nonce of the response that is acknowledged or rejected; empty for a request of its own. */
  readonly nonce: string;
  /** Set by a NACK: why the response was rejected. */
  readonly error?: { readonly code: number; readonly message: string };
  readonly node?: Node;
}

/** DiscoveryRequest. */
export interface SotwRequest extends CommonRequest {
  readonly variant: 'sotw';
  readonly names: readonly string[];
  /** Version of the last response that the client accepted, perhaps on an earlier stream; empty where it has none. */
  readonly version: string;
}

/** DeltaDiscoveryRequest. */
export interface DeltaRequest extends CommonRequest {
  readonly variant: 'delta';
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Versions by name that the client still has from an earlier stream. */
  readonly initialVersions: ReadonlyMap<string, string>;
}

/** A decoded request. */
export type XdsRequest = SotwRequest | DeltaRequest;

/** Why a request cannot be served: becomes the stream's status INVALID_ARGUMENT. */
export interface BadRequest {
  readonly problem: string;
}

/** Most names in one request, and in one subscription. */
export const maxNames = 100_000;
const maxNameLength = 8192;
const maxTypeUrlLength = 512;
const maxErrorLength = 16_384;

/** Decodes one message. Never throws: what is not a request, or breaks a bound, is a BadRequest. */
export function decodeRequest(variant: Variant, bytes: Uint8Array): XdsRequest | BadRequest {
  try {
    const request = variant === 'sotw' ? decodeSotw(bytes) : decodeDelta(bytes);
    return boundsProblem(request) ?? request;
  } catch {
    return { problem: 'the message is not a discovery request' };
  }
}

function decodeSotw(bytes: Uint8Array): SotwRequest {
  const message = fromBinary(DiscoveryRequestSchema, bytes, { readUnknownFields: false });
  const { resourceNames: names, versionInfo: version } = message;
  return { variant: 'sotw', names, version, ...commonOf(message) };
}

function decodeDelta(bytes: Uint8Array): DeltaRequest {
  const message = fromBinary(DeltaDiscoveryRequestSchema, bytes, { readUnknownFields: false });
  return {
    variant: 'delta',
    subscribe: message.resourceNamesSubscribe,
    unsubscribe: message.resourceNamesUnsubscribe,
    initialVersions: new Map(Object.entries(message.initialResourceVersions)),
    ...commonOf(message),
  };
}

function commonOf(message: {
  readonly typeUrl: string;
  readonly responseNonce: string;
  readonly errorDetail?: { readonly code: number; readonly message: string } | undefined;
  readonly node?: Node | undefined;
}): CommonRequest {
  const { typeUrl, responseNonce: nonce, errorDetail, node } = message;
  return {
    typeUrl,
    nonce,
    ...(errorDetail === undefined
      ? {}
      : { error: { code: errorDetail.code, message: errorDetail.message.slice(0, maxErrorLength) } }),
    ...(node === undefined ? {} : { node }),
  };
}

function boundsProblem(request: XdsRequest): BadRequest | undefined {
  if (request.typeUrl === '') return { problem: 'the request names no resource type' };
  if (request.typeUrl.length > maxTypeUrlLength) return { problem: 'the resource type is too long' };
  const lists: readonly Iterable<string>[] =
    request.variant === 'sotw'
      ? [request.names]
      : [request.subscribe, request.unsubscribe, request.initialVersions.keys()];
  let count = 0;
  for (const list of lists) {
    for (const name of list) {
      if (++count > maxNames) return { problem: `the request names more than ${maxNames} resources` };
      if (name.length > maxNameLength) return { problem: `a resource name is longer than ${maxNameLength} characters` };
    }
  }
  return undefined;
}
