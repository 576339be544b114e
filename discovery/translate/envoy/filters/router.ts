// The router: the last filter, which sends requests on.
import { RouterSchema } from '../../../../protos/gen/envoy/extensions/filters/http/router/v3/router_pb.js';
import { packed } from '../wire.ts';
import { type HttpFilterBuilder, httpFilter } from './http-filter.ts';

/** Everywhere. */
export const router: HttpFilterBuilder = () => filter;

const filter = httpFilter('envoy.filters.http.router', packed(RouterSchema, {}));
