// How much the xDS server takes from its clients, and how long it waits for them.

/** Bounds of the server. Times in milliseconds, sizes in bytes. */
export interface ServerLimits {
  /** Largest request. Default 64 MiB, because a reconnecting client names everything that it has. */
  readonly maxRequestBytes: number;
  readonly maxStreams: number;
  /** A stream that says nothing for so long is ended. */
  readonly firstRequestMs: number;
  readonly authenticationMs: number;
  /** A client that does not take a message for so long is ended. */
  readonly sendMs: number;
  /** Requests a second that one stream may make for long; above it, reading slows down. */
  readonly requestRate: number;
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
  /** Connections are asked to come again after this time (with jitter), so that load spreads over replicas. */
  readonly maxConnectionAgeMs: number;
  readonly maxConnectionAgeGraceMs: number;
}

/** Limits that operators need not set. */
export const defaultLimits: ServerLimits = {
  maxRequestBytes: 64 * 1024 * 1024,
  maxStreams: 100_000,
  firstRequestMs: 15_000,
  authenticationMs: 10_000,
  sendMs: 60_000,
  requestRate: 500,
  keepaliveMs: 30_000,
  keepaliveTimeoutMs: 10_000,
  maxConnectionAgeMs: 30 * 60_000,
  maxConnectionAgeGraceMs: 10_000,
};
