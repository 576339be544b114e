// Resolves the host of a request as it comes, where unknown or wildcard hosts are reached by name.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Cluster_DnsLookupFamily } from '../../../../protos/gen/envoy/config/cluster/v3/cluster_pb.js';
import type { DnsCacheConfigSchema } from '../../../../protos/gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache_pb.js';
import { FilterConfigSchema } from '../../../../protos/gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.js';
import { packed } from '../wire.ts';
import type { DynamicDns } from './context.ts';
import { type HttpFilterBuilder, httpFilter } from './http-filter.ts';

/** Only where something is resolved; the cluster shares the cache by name and settings. */
export const dynamicForwardProxy: HttpFilterBuilder = ({ dynamicDns }) =>
  dynamicDns === undefined
    ? undefined
    : httpFilter(
        'envoy.filters.http.dynamic_forward_proxy',
        packed(FilterConfigSchema, {
          implementationSpecifier: { case: 'dnsCacheConfig', value: dnsCache(dynamicDns) },
        }),
      );

/** Settings of a DNS cache. */
export function dnsCache({ cache, family, maxHosts }: DynamicDns): MessageInitShape<typeof DnsCacheConfigSchema> {
  const { V4_ONLY, V6_ONLY, ALL } = Cluster_DnsLookupFamily;
  return {
    name: cache,
    dnsLookupFamily: family === 'v4' ? V4_ONLY : family === 'v6' ? V6_ONLY : ALL,
    ...(maxHosts === undefined ? {} : { maxHosts }),
  };
}
