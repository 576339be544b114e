// The socket's end of a stream, so that everything but the server is free of sockets.

import type { Message } from './response.ts';

/** gRPC status names a stream may end with. */
export type StreamStatus =
  | 'OK'
  | 'INVALID_ARGUMENT'
  | 'PERMISSION_DENIED'
  | 'UNAUTHENTICATED'
  | 'UNAVAILABLE'
  | 'RESOURCE_EXHAUSTED'
  | 'DEADLINE_EXCEEDED'
  | 'INTERNAL';

/** Takes bytes, ends a stream. */
export interface Transport {
  /** Address of the peer. */
  readonly peer: string;
  /** Writes one message, whose pieces other streams may share; `done` is called when the transport has taken all of it. */
  readonly send: (message: Pick<Message, 'pieces'>, done: () => void) => void;
  /** Ends the stream. */
  readonly end: (status: StreamStatus, message: string) => void;
}
