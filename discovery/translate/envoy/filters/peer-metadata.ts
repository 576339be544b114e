// istio.metadata_exchange for HTTP: peers learn each other's labels by headers or workload discovery (istio-proxy only).
import type { JsonObject } from '@bufbuild/protobuf';
import { typedStruct } from '../wire.ts';
import { type HttpFilterBuilder, httpFilter } from './http-filter.ts';

const typeUrl = 'type.googleapis.com/io.istio.http.peer_metadata.Config';

/** First of all filters, so that policies and telemetry know the peer. */
export const peerMetadata: HttpFilterBuilder = ({ istioFilters, direction }) =>
  istioFilters
    ? httpFilter('istio.metadata_exchange', typedStruct(typeUrl, direction === 'inbound' ? downstream : upstream))
    : undefined;

const discovery = [{ istio_headers: {} }, { workload_discovery: {} }];
const propagation = [{ istio_headers: {} }];
const downstream: JsonObject = { downstream_discovery: discovery, downstream_propagation: propagation };
const upstream: JsonObject = { upstream_discovery: discovery, upstream_propagation: propagation };
