// Pieces of listeners: addresses, and timeouts and limits by mesh configuration.
import { create } from '@bufbuild/protobuf';
import type { Duration } from '@bufbuild/protobuf/wkt';
import { type Address, AddressSchema } from '../../../protos/gen/envoy/config/core/v3/address_pb.js';
import {
  type AdditionalAddress,
  AdditionalAddressSchema,
} from '../../../protos/gen/envoy/config/listener/v3/listener_pb.js';
import { query, type Read } from '../../graph/graph.ts';
import { facts, mesh } from '../../model/objects.ts';
import { seconds, wireDuration } from './wire.ts';

/** Addresses of a listener: the first is its own, the others are additional. */
export function listenerAddresses(
  binds: readonly string[],
  port: number,
): { address: Address; additionalAddresses: AdditionalAddress[] } {
  const [first = '', ...rest] = binds;
  return {
    address: addressOf(first, port),
    additionalAddresses: rest.map((bind) => create(AdditionalAddressSchema, { address: addressOf(bind, port) })),
  };
}

/** An IP address with a port, or a socket path (`unix://path`). */
export function addressOf(bind: string, port: number): Address {
  const unix = 'unix://';
  return create(AddressSchema, {
    address: bind.startsWith(unix)
      ? { case: 'pipe', value: { path: bind.slice(unix.length) } }
      : {
          case: 'socketAddress',
          value: { address: bind, portSpecifier: { case: 'portValue', value: port } },
        },
  });
}

interface ListenerDefaults {
  readonly detection: string;
  /** Connections accepted in one turn of the event loop; 0 leaves Envoy's. */
  readonly perEvent: number;
}

const listenerDefaults = query('listener-defaults', (read, _key: 'mesh'): ListenerDefaults => {
  const written = read(facts, 'facts').features['MAX_CONNECTIONS_PER_SOCKET_EVENT_LOOP'] ?? '1';
  const perEvent = Number(written);
  return {
    detection: read(mesh, 'mesh').protocolDetectionTimeout ?? '0s',
    perEvent: Number.isInteger(perEvent) && perEvent > 0 ? perEvent : 0,
  };
});

/** How long the protocol of a connection may stay unknown; 0 waits for ever. */
export function detectionTimeout(read: Read): Duration {
  return wireDuration(read(listenerDefaults, 'mesh').detection) ?? seconds(0);
}

/** Spreads new connections of listeners with sockets of their own over Envoy's workers. */
export function perSocketEvent(read: Read): { maxConnectionsToAcceptPerSocketEvent?: number } {
  const { perEvent } = read(listenerDefaults, 'mesh');
  return perEvent === 0 ? {} : { maxConnectionsToAcceptPerSocketEvent: perEvent };
}
