// What a stream may ask of the server it belongs to.
import type { Proxy } from '../proxy/proxy.ts';
import type { ProxyClass } from '../proxy/proxy-class.ts';
import type { ResourceRef } from '../translate/translator.ts';
import type { ResourceType } from '../xds-types.ts';
import type { Draft } from './channel.ts';
import type { XdsMetrics } from './metrics.ts';
import type { AuthorizeSecret, OpenOwnResources, StreamOwner } from './own-resources.ts';
import type { Variant } from './request.ts';
import type { Message } from './response.ts';
import type { XdsStream } from './stream.ts';
import type { Rejection, Subscription } from './subscription.ts';
import type { StreamStatus } from './transport.ts';
import type { Slicer } from './turns.ts';
import type { Views } from './views.ts';

/** Times and sizes that bound a stream; milliseconds. */
export interface StreamLimits {
  /** How long a push waits for acknowledgements that make-before-break would like to see. */
  readonly settleMs: number;
}

/** The answer to a debug request: Anys ready for the wire, or a status that ends the stream. */
export type DebugAnswer =
  | { readonly anys: readonly Uint8Array[]; readonly controlPlane?: string }
  | { readonly status: StreamStatus; readonly message: string };

/** The server as its streams see it. */
export interface StreamHost {
  readonly views: Views;
  readonly slicer: Slicer;
  readonly metrics: XdsMetrics;
  readonly limits: StreamLimits;
  readonly authorizeSecret: AuthorizeSecret;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Milliseconds since the epoch. */
  readonly wallClock: () => number;
  /** Runs a job alone; what became due is sent afterwards. */
  readonly turn: (job: () => Promise<void>) => Promise<void>;
  /** The stream has something to send, or may have. */
  readonly due: (stream: XdsStream) => void;
  /** Calls back later, unless the server has stopped. */
  readonly later: (ms: number, callback: () => void) => void;
  /** Makes the stream's proxy part of the mesh and gives its class. */
  readonly connected: (stream: XdsStream, proxy: Proxy) => ProxyClass | undefined;
  readonly closed: (stream: XdsStream, registered: boolean) => void;
  readonly openOwn: (
    owner: StreamOwner,
    changed: (type: ResourceType, names: readonly string[]) => void,
  ) => ReturnType<OpenOwnResources>;
  readonly messageOf: (sub: Subscription, draft: Draft) => Message;
  /** Configuration objects behind a resource, as text. */
  readonly sourcesOf: (ref: ResourceRef | undefined) => readonly string[];
  readonly onRejection: (stream: XdsStream, type: ResourceType, rejection: Rejection) => void;
  readonly unknownType: (typeUrl: string) => void;
  readonly onError: (error: unknown, what: string) => void;
  readonly debug: (stream: XdsStream, typeUrl: string, names: readonly string[]) => Promise<DebugAnswer | undefined>;
  readonly debugMessage: (variant: Variant, typeUrl: string, answer: DebugAnswer & { anys: unknown }) => Message;
}
