// Filters that look at a connection before a filter chain is chosen.
import { create } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import {
  type ListenerFilter,
  type ListenerFilterChainMatchPredicate,
  ListenerFilterChainMatchPredicateSchema,
  ListenerFilterSchema,
} from '../../../../protos/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { HttpInspectorSchema } from '../../../../protos/gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.ts';
import { OriginalDstSchema } from '../../../../protos/gen/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.ts';
import { OriginalSrcSchema } from '../../../../protos/gen/envoy/extensions/filters/listener/original_src/v3/original_src_pb.ts';
import { TlsInspectorSchema } from '../../../../protos/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.ts';
import { packed } from '../wire.ts';

/** Plain-text protocols that the HTTP inspector recognises, by the names it gives them. */
export const plainHttp: readonly string[] = ['http/1.1', 'h2c'];

/** Reads SNI and ALPN of TLS. `exceptPorts` are destination ports on which it does not run. */
export function tlsInspector(exceptPorts: readonly number[] = []): ListenerFilter {
  return listenerFilter(
    'envoy.filters.listener.tls_inspector',
    packed(TlsInspectorSchema, { initialReadBufferSize: 512 }),
    exceptPorts,
  );
}

/** Recognises HTTP in plain text. `exceptPorts` are destination ports on which it does not run. */
export function httpInspector(exceptPorts: readonly number[] = []): ListenerFilter {
  return listenerFilter('envoy.filters.listener.http_inspector', packed(HttpInspectorSchema, {}), exceptPorts);
}

/** Finds where a redirected connection was going. */
export function originalDestination(): ListenerFilter {
  return listenerFilter('envoy.filters.listener.original_dst', packed(OriginalDstSchema, {}));
}

/** Keeps the client's address towards the application (TPROXY), marked so that routing tells it apart. */
export function originalSource(): ListenerFilter {
  return listenerFilter('envoy.filters.listener.original_src', packed(OriginalSrcSchema, { mark: 1337 }));
}

function listenerFilter(name: string, typedConfig: Any, exceptPorts: readonly number[] = []): ListenerFilter {
  const ports = [...exceptPorts].sort((a, b) => a - b).map(portPredicate);
  const [first] = ports;
  const filter = create(ListenerFilterSchema, { name, configType: { case: 'typedConfig', value: typedConfig } });
  if (first === undefined) return filter;
  filter.filterDisabled =
    ports.length === 1
      ? first
      : create(ListenerFilterChainMatchPredicateSchema, { rule: { case: 'orMatch', value: { rules: ports } } });
  return filter;
}

function portPredicate(port: number): ListenerFilterChainMatchPredicate {
  return create(ListenerFilterChainMatchPredicateSchema, {
    rule: { case: 'destinationPortRange', value: { start: port, end: port + 1 } },
  });
}
