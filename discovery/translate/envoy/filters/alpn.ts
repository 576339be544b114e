// istio.alpn: tells the server by ALPN which HTTP version is spoken inside of Istio mTLS (only istio-proxy has it).
import { FilterConfig_Protocol, FilterConfigSchema } from '../../../../protos/gen/istio/alpn_pb.js';
import { packed } from '../wire.ts';
import { type HttpFilterBuilder, httpFilter } from './http-filter.ts';

/** Only where requests leave: servers read what clients sent. */
export const alpn: HttpFilterBuilder = ({ direction, istioFilters }) =>
  istioFilters && direction !== 'inbound' ? filter : undefined;

const overrides = [
  {
    upstreamProtocol: FilterConfig_Protocol.HTTP10,
    alpnOverride: ['istio-http/1.0', 'istio', 'http/1.0'],
  },
  {
    upstreamProtocol: FilterConfig_Protocol.HTTP11,
    alpnOverride: ['istio-http/1.1', 'istio', 'http/1.1'],
  },
  {
    upstreamProtocol: FilterConfig_Protocol.HTTP2,
    alpnOverride: ['istio-h2', 'istio', 'h2'],
  },
];

const filter = httpFilter('istio.alpn', packed(FilterConfigSchema, { alpnOverride: overrides }));
