// Route configurations as bytes: a small header, and the frames of virtual hosts that were encoded before.
import { create, toBinary } from '@bufbuild/protobuf';
import { RouteConfigurationSchema } from '../../../../protos/gen/envoy/config/route/v3/route_pb.js';
import { type EncodedResource, encodeResource, type SharedBytes } from '../../../resource.ts';
import { typeUrls } from '../../../xds-types.ts';

/** Largest fixed response that a route may give, in bytes. */
export const largestDirectResponse = 1024 * 1024;

/** Joins a route configuration of fields `virtual_hosts`. Clusters need not exist: requests to unknown ones are answered with 503. */
export function routeConfiguration(name: string, virtualHosts: readonly (Uint8Array | SharedBytes)[]): EncodedResource {
  const header = create(RouteConfigurationSchema, {
    name,
    validateClusters: false,
    maxDirectResponseBodySizeBytes: largestDirectResponse,
    ignorePortInHostMatching: true,
  });
  return encodeResource(typeUrls.route, name, [toBinary(RouteConfigurationSchema, header), ...virtualHosts]);
}

/** The answer for a name that stands for nothing, so that its listener does not wait for it. */
export function emptyRouteConfiguration(name: string): EncodedResource {
  const header = create(RouteConfigurationSchema, { name, validateClusters: false });
  return encodeResource(typeUrls.route, name, toBinary(RouteConfigurationSchema, header));
}
