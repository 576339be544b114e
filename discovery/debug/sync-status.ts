// How far each proxy follows: what was sent of each type, what was accepted, what was rejected and why.

import type { XdsStream } from '../xds/stream.ts';
import type { Rejection, Subscription } from '../xds/subscription.ts';
import { pushOrder, type ResourceType } from '../xds-types.ts';

/** One type of one proxy. Times are milliseconds since the epoch. */
export interface TypeStatus {
  readonly type: ResourceType;
  readonly typeUrl: string;
  readonly state: 'SYNCED' | 'NOT_SENT' | 'STALE' | 'ERROR';
  readonly sent?: { readonly nonce: string; readonly version: string; readonly at: number };
  readonly acked?: { readonly nonce: string; readonly version: string; readonly at: number };
  readonly rejection?: Rejection;
}

/** One connected proxy. */
export interface ProxyStatus {
  readonly connectionId: string;
  readonly workloadId: string;
  readonly nodeId: string;
  readonly nodeType: string;
  readonly namespace: string;
  readonly cluster: string;
  readonly istioVersion: string;
  readonly peer: string;
  readonly variant: 'sotw' | 'delta';
  readonly connectedAt: number;
  readonly types: readonly TypeStatus[];
}

/** The status of every stream whose client said who it is and asks for resources, by connection id. */
export function statusOf(streams: Iterable<XdsStream>): readonly ProxyStatus[] {
  const statuses: ProxyStatus[] = [];
  for (const stream of streams) {
    const { proxy } = stream;
    if (proxy === undefined || stream.proxyClass === undefined) continue;
    statuses.push({
      connectionId: stream.connectionId,
      workloadId: stream.workloadId,
      nodeId: proxy.nodeId,
      nodeType: proxy.nodeId.split('~')[0] ?? '',
      namespace: proxy.namespace,
      cluster: proxy.cluster,
      istioVersion: proxy.settings.istioVersion ?? '',
      peer: stream.peer,
      variant: stream.variant,
      connectedAt: stream.connectedAt,
      types: typesOf(stream),
    });
  }
  return statuses.sort((a, b) => (a.connectionId < b.connectionId ? -1 : 1));
}

/** What a subscription's books say. */
export function stateOf(sub: Subscription): TypeStatus['state'] {
  if (sub.rejection !== undefined) return 'ERROR';
  if (sub.sent === undefined) return 'NOT_SENT';
  return sub.acked?.nonce === sub.sent.nonce ? 'SYNCED' : 'STALE';
}

function typesOf(stream: XdsStream): readonly TypeStatus[] {
  const types: TypeStatus[] = [];
  for (const type of pushOrder) {
    const sub = stream.channels.get(type)?.sub;
    if (sub === undefined) continue;
    const { sent, acked, rejection, typeUrl } = sub;
    types.push({
      type,
      typeUrl,
      state: stateOf(sub),
      ...(sent === undefined ? {} : { sent: { nonce: sent.nonce, version: sent.version, at: sent.at } }),
      ...(acked === undefined ? {} : { acked }),
      ...(rejection === undefined ? {} : { rejection }),
    });
  }
  return types;
}
