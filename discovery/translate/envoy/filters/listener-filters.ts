// Filters that look at a connection before a filter chain is chosen.
import { create } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import {
  type ListenerFilter,
  type ListenerFilterChainMatchPredicate,
  ListenerFilterChainMatchPredicateSchema,
  ListenerFilterSchema,
} from '../../../../protos/gen/envoy/config/listener/v3/listener_components_pb.js';
import { HttpInspectorSchema } from '../../../../protos/gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js';
import { OriginalDstSchema } from '../../../../protos/gen/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js';
import { OriginalSrcSchema } from '../../../../protos/gen/envoy/extensions/filters/listener/original_src/v3/original_src_pb.js';
import { ProxyProtocolSchema } from '../../../../protos/gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js';
import { TlsInspectorSchema } from '../../../../protos/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js';
import { packed } from '../wire.ts';

/** Plain-text protocols that the HTTP inspector recognises, by the names it gives them. */
export const plainHttp: readonly string[] = ['http/1.1', 'h2c'];

/** Destination ports on which an inspector runs: all except some, or only some. */
export type InspectedPorts = { readonly except: readonly number[] } | { readonly only: readonly number[] };

/** Reads SNI and ALPN of TLS. */
export function tlsInspector(ports: InspectedPorts = { except: [] }): ListenerFilter {
  const config = packed(TlsInspectorSchema, { initialReadBufferSize: 512 });
  return listenerFilter('envoy.filters.listener.tls_inspector', config, disabledOn(ports));
}

/** Recognises HTTP in plain text. `except` are destination ports on which it does not run. */
export function httpInspector(except: readonly number[] = []): ListenerFilter {
  const config = packed(HttpInspectorSchema, {});
  return listenerFilter('envoy.filters.listener.http_inspector', config, disabledOn({ except }));
}

/** Finds where a redirected connection was going. */
export function originalDestination(): ListenerFilter {
  return listenerFilter('envoy.filters.listener.original_dst', packed(OriginalDstSchema, {}));
}

/** Keeps the client's address towards the application (TPROXY), marked so that routing tells it apart. */
export function originalSource(): ListenerFilter {
  return listenerFilter('envoy.filters.listener.original_src', packed(OriginalSrcSchema, { mark: 1337 }));
}

/** Takes the client's address from a PROXY protocol header, for load balancers that send one. */
export function proxyProtocol(): ListenerFilter {
  return listenerFilter('envoy.filters.listener.proxy_protocol', packed(ProxyProtocolSchema, {}));
}

function listenerFilter(name: string, typedConfig: Any, disabled?: ListenerFilterChainMatchPredicate): ListenerFilter {
  return create(ListenerFilterSchema, {
    name,
    configType: { case: 'typedConfig', value: typedConfig },
    ...(disabled === undefined ? {} : { filterDisabled: disabled }),
  });
}

function disabledOn(ports: InspectedPorts): ListenerFilterChainMatchPredicate | undefined {
  if ('except' in ports) return ports.except.length === 0 ? undefined : anyOf(ports.except);
  return create(ListenerFilterChainMatchPredicateSchema, { rule: { case: 'notMatch', value: anyOf(ports.only) } });
}

function anyOf(ports: readonly number[]): ListenerFilterChainMatchPredicate {
  const rules = [...ports].sort((a, b) => a - b).map(portPredicate);
  const [first] = rules;
  if (rules.length === 1 && first !== undefined) return first;
  return create(ListenerFilterChainMatchPredicateSchema, { rule: { case: 'orMatch', value: { rules } } });
}

function portPredicate(port: number): ListenerFilterChainMatchPredicate {
  return create(ListenerFilterChainMatchPredicateSchema, {
    rule: { case: 'destinationPortRange', value: { start: port, end: port + 1 } },
  });
}
