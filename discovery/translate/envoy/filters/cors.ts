// Cross-origin resource sharing; routes carry the policies.
import { CorsSchema } from '../../../../protos/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import { corsFilter } from '../route/cors.ts';
import { packed } from '../wire.ts';
import { type HttpFilterBuilder, httpFilter } from './http-filter.ts';

/** Everywhere. */
export const cors: HttpFilterBuilder = () => filter;

const filter = httpFilter(corsFilter, packed(CorsSchema, {}));
