// The HTTP filters in the order in which requests pass them. Adding a filter is one file and one line here.
import type { HttpFilter } from '../../../../protos/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { alpn } from './alpn.ts';
import type { HttpFilterContext } from './context.ts';
import { cors } from './cors.ts';
import { dynamicForwardProxy } from './dynamic-forward-proxy.ts';
import { fault } from './fault.ts';
import { grpcStats, grpcWeb } from './grpc.ts';
import type { HttpFilterBuilder } from './http-filter.ts';
import { peerMetadata } from './peer-metadata.ts';
import { router } from './router.ts';

/** Contract 3.1: authentication and authorisation stand between peer metadata and gRPC, statistics after CORS. */
const order: readonly HttpFilterBuilder[] = [
  peerMetadata,
  grpcWeb,
  grpcStats,
  alpn,
  fault,
  cors,
  dynamicForwardProxy,
  router,
];

/** The filters of a connection manager. */
export function httpFilters(context: HttpFilterContext): HttpFilter[] {
  return order.map((build) => build(context)).filter((filter) => filter !== undefined);
}
