// Injected faults; routes carry them.
import { HTTPFaultSchema } from '../../../../protos/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { faultFilter } from '../route/fault.ts';
import { packed } from '../wire.ts';
import { type HttpFilterBuilder, httpFilter } from './http-filter.ts';

/** Everywhere. */
export const fault: HttpFilterBuilder = () => filter;

const filter = httpFilter(faultFilter, packed(HTTPFaultSchema, {}));
