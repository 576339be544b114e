// istio.metadata_exchange for HTTP: peers learn each other's labels by headers or workload discovery (istio-proxy only).
import type { JsonObject } from '@bufbuild/protobuf';
import type { HttpFilter } from '../../../../protos/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { typedStruct } from '../wire.ts';
import { type HttpFilterBuilder, httpFilter } from './http-filter.ts';

const typeUrl = 'type.googleapis.com/io.istio.http.peer_metadata.Config';

/** First of all filters, so that policies and telemetry know the peer. */
export const peerMetadata: HttpFilterBuilder = ({ istioFilters, direction }) => {
  if (!istioFilters) return undefined;
  return direction === 'inbound' ? downstream : upstream;
};

const discovery = [{ istio_headers: {} }, { workload_discovery: {} }];
const propagation = [{ istio_headers: {} }];
const downstream = exchange({ downstream_discovery: discovery, downstream_propagation: propagation });
const upstream = exchange({ upstream_discovery: discovery, upstream_propagation: propagation });

function exchange(config: JsonObject): HttpFilter {
  return httpFilter('istio.metadata_exchange', typedStruct(typeUrl, config));
}
