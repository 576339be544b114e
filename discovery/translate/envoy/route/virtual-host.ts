// One virtual host of a sidecar's route configuration, encoded once for all clients that resolve to the same.
import { create, toBinary } from '@bufbuild/protobuf';
import { meshGateway } from '../../../../config/gateway-name.ts';
import type { ConsistentHash } from '../../../../config/kinds/destination-rule.ts';
import type { HttpRetry } from '../../../../config/kinds/virtual-service.ts';
import {
  type Route,
  RouteSchema,
  VirtualHostSchema,
} from '../../../../protos/gen/envoy/config/route/v3/route_components_pb.js';
import { query } from '../../../graph/graph.ts';
import { keyText } from '../../../graph/key-text.ts';
import type { ClientPart } from '../../../model/client-view.ts';
import { virtualServices } from '../../../model/route.ts';
import { encodeField } from '../../../resource.ts';
import { outboundCluster } from '../../names.ts';
import { seconds } from '../wire.ts';
import type { RouteContext } from './context.ts';
import { hashPolicies } from './hash-policy.ts';
import { httpRoutes } from './http-routes.ts';
import { defaultRetries, type Resolution } from './resolution.ts';
import { retryPolicy } from './retry.ts';

/** Routes straight to a service's port. */
export interface ServiceSource {
  readonly kind: 'service';
  readonly hostname: string;
  readonly hash?: ConsistentHash;
}

/** Routes by a VirtualService. */
export interface RulesSource extends Resolution {
  readonly kind: 'rules';
  readonly rules: string;
  /** The client, only where some match asks for its labels or namespace. */
  readonly client?: ClientPart;
}

/** All that a virtual host's bytes rest on, besides the VirtualService and the mesh's default retries. */
export interface VirtualHostKey {
  /** Text of all of the below, made once: the key's identity. */
  readonly id: string;
  readonly name: string;
  readonly domains: readonly string[];
  readonly port: number;
  readonly attemptCount: boolean;
  /** For proxyless gRPC, which has no timeouts by route. */
  readonly streamTimeouts: boolean;
  readonly source: ServiceSource | RulesSource;
}

/** Completes a key. `sourceId` is the text of its source. */
export function virtualHostKey(key: Omit<VirtualHostKey, 'id'>, sourceId = JSON.stringify(key.source)): VirtualHostKey {
  const { name, domains, port, attemptCount, streamTimeouts } = key;
  const id = keyText(`${name}|${domains.join()}|${port}|${attemptCount}|${streamTimeouts}|${sourceId}`);
  return { id, name, domains, port, attemptCount, streamTimeouts, source: key.source };
}

/** A virtual host as field `virtual_hosts` of its route configuration. */
export const virtualHostFrame = query<VirtualHostKey, Uint8Array>(
  'virtual-host',
  (read, { name, domains, port, attemptCount, streamTimeouts, source }) => {
    const retries = read(defaultRetries, 'mesh');
    const rules = source.kind === 'rules' ? read(virtualServices, source.rules) : undefined;
    const routes =
      source.kind === 'service'
        ? [serviceRoute(source, port, retries, streamTimeouts)]
        : rules === undefined
          ? []
          : httpRoutes(rules, contextOf(source, port, streamTimeouts, retries));
    const host = create(VirtualHostSchema, {
      name,
      domains: [...domains],
      routes: [...routes],
      includeRequestAttemptCount: attemptCount,
    });
    return encodeField(2, toBinary(VirtualHostSchema, host));
  },
  { idOf: ({ id }) => id, equals: (a, b) => Buffer.compare(a, b) === 0, keptKeys: true },
);

/** The context in which a VirtualService's routes are made for sidecars. */
export function contextOf(
  source: Pick<RulesSource, 'client' | 'ports' | 'hashes'>,
  port: number,
  streamTimeouts: boolean,
  retries: HttpRetry | undefined,
): RouteContext {
  const portOf = (host: string): number => source.ports[host] ?? port;
  return {
    port,
    tls: false,
    gateways: [meshGateway],
    namespace: source.client?.namespace ?? '',
    labels: source.client?.labels ?? {},
    destinationPort: portOf,
    hashPolicies: ({ host = '', subset = '', port: named }) =>
      hashPolicies(source.hashes[`${named?.number || portOf(host)}|${subset}|${host}`]),
    defaultRetries: retries,
    streamTimeouts,
  };
}

/** The route of a service without rules. */
export function serviceRoute(
  { hostname, hash }: ServiceSource,
  port: number,
  retries: HttpRetry | undefined,
  streamTimeouts: boolean,
): Route {
  const retry = retryPolicy(retries);
  return create(RouteSchema, {
    name: 'default',
    match: { pathSpecifier: { case: 'prefix', value: '/' } },
    decorator: { operation: `${hostname}:${port}/*` },
    action: {
      case: 'route',
      value: {
        clusterSpecifier: { case: 'cluster', value: outboundCluster(port, '', hostname) },
        ...noTimeouts(streamTimeouts),
        hashPolicy: hashPolicies(hash),
        ...(retry === undefined ? {} : { retryPolicy: retry }),
      },
    },
  });
}

/** Requests have no time limit; gRPC's own deadline is not cut either. */
function noTimeouts(streamTimeouts: boolean) {
  if (!streamTimeouts) return { timeout: seconds(0), maxGrpcTimeout: seconds(0) };
  return { maxStreamDuration: { maxStreamDuration: seconds(0), grpcTimeoutHeaderMax: seconds(0) } };
}
