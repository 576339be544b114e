// One HTTP filter: its name on the wire and how its configuration is made.
import { create } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import {
  type HttpFilter,
  HttpFilterSchema,
} from '../../../../protos/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { HttpFilterContext } from './context.ts';

/** Gives a filter for a connection manager, or undefined where it has no place there. */
export type HttpFilterBuilder = (context: HttpFilterContext) => HttpFilter | undefined;

/** A filter with its configuration. */
export function httpFilter(name: string, typedConfig: Any): HttpFilter {
  return create(HttpFilterSchema, { name, configType: { case: 'typedConfig', value: typedConfig } });
}
