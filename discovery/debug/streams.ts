// Who is connected and what each client watches: `/debug/adsz` and `/debug/connections` (contract 2.3).
import { compareText } from '../../config/object.ts';
import type { XdsStream } from '../xds/stream.ts';

/** `/debug/adsz`. */
export function adszJson(streams: Iterable<XdsStream>): Readonly<Record<string, unknown>> {
  const clients = inOrder(streams).map((stream) => {
    const { proxy } = stream;
    const watches: Record<string, readonly string[]> = {};
    for (const { sub } of stream.channels.values()) {
      watches[sub.typeUrl] = [...(sub.wildcard ? ['*'] : []), ...[...sub.names].sort(compareText)];
    }
    return {
      connectionId: stream.connectionId,
      connectedAt: new Date(stream.connectedAt).toISOString(),
      address: stream.peer,
      labels: proxy?.labels ?? {},
      metadata: stream.metadata,
      locality: proxy?.locality ?? {},
      watches,
    };
  });
  return { totalClients: clients.length, clients };
}

/** `/debug/connections`. */
export function connectionsJson(streams: Iterable<XdsStream>): Readonly<Record<string, unknown>> {
  const clients = inOrder(streams).map((stream) => ({
    connectionId: stream.connectionId,
    connectedAt: new Date(stream.connectedAt).toISOString(),
    address: stream.peer,
  }));
  return { totalClients: clients.length, clients };
}

/** The connected proxy a debug request means: its connection id contains the text. */
export function findStream(streams: Iterable<XdsStream>, proxyId: string): XdsStream | undefined {
  if (proxyId === '') return undefined;
  return inOrder(streams).find((stream) => stream.proxyClass !== undefined && stream.connectionId.includes(proxyId));
}

function inOrder(streams: Iterable<XdsStream>): readonly XdsStream[] {
  return [...streams].filter(({ proxy }) => proxy !== undefined).sort((a, b) => a.serial - b.serial);
}
