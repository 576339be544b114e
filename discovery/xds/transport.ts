// The socket's end of a stream, so that everything but the server is free of sockets.

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
  /** Writes one message; `done` is called when the transport has taken all of it. */
  readonly send: (bytes: Buffer, done: () => void) => void;
  /** Ends the stream. */
  readonly end: (status: StreamStatus, message: string) => void;
}
