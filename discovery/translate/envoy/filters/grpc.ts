// gRPC: statistics of every call, and the translation of gRPC-Web where a port speaks it.
import { FilterConfigSchema } from '../../../../protos/gen/envoy/extensions/filters/http/grpc_stats/v3/config_pb.js';
import { GrpcWebSchema } from '../../../../protos/gen/envoy/extensions/filters/http/grpc_web/v3/grpc_web_pb.js';
import { packed } from '../wire.ts';
import { type HttpFilterBuilder, httpFilter } from './http-filter.ts';

/** Ports named grpc-web. */
export const grpcWeb: HttpFilterBuilder = (context) => (context.grpcWeb ? translation : undefined);

const translation = httpFilter('envoy.filters.http.grpc_web', packed(GrpcWebSchema, {}));

/** Everywhere, by service and not by method. */
export const grpcStats: HttpFilterBuilder = () => statistics;

const statistics = httpFilter(
  'envoy.filters.http.grpc_stats',
  packed(FilterConfigSchema, {
    emitFilterState: true,
    perMethodStatSpecifier: { case: 'statsForAllMethods', value: { value: false } },
  }),
);
