// What the xDS server counts and times; whoever composes the server turns it into metrics (names: contract 4.13).
import type { Variant } from './request.ts';
import type { StreamStatus } from './transport.ts';

/** A gRPC call, as grpc_server_* count it. */
export interface CallMetrics {
  readonly received: () => void;
  readonly sent: () => void;
  /** Once, with the status by which the client knows the end. */
  readonly ended: (status: CallStatus) => void;
}

/** Besides statuses of ours, what clients do. */
export type CallStatus = StreamStatus | 'CANCELLED' | 'UNKNOWN';

/** Every method is optional work for the receiver and must not throw. Times are milliseconds. */
export interface XdsMetrics {
  /** pilot_xds: streams opened and closed. */
  readonly streamOpened: (variant: Variant) => void;
  readonly streamClosed: (variant: Variant) => void;
  /** A stream that was refused or ended by us, by gRPC status name. */
  readonly streamRefused: (status: string) => void;
  /** pilot_xds_pushes, pilot_xds_config_size_bytes: a response sent, by type URL. */
  readonly sent: (typeUrl: string, bytes: number, resources: number) => void;
  /** pilot_xds_send_time: from the write until the transport took it. */
  readonly sendTime: (ms: number) => void;
  /** pilot_total_xds_rejects, pilot_xds_*_reject. */
  readonly rejected: (typeUrl: string) => void;
  /** pilot_xds_expired_nonce. */
  readonly staleNonce: (typeUrl: string) => void;
  /** pilot_xds_write_timeout: a client that stopped reading. */
  readonly writeTimeout: () => void;
  /** pilot_total_xds_internal_errors. */
  readonly internalError: () => void;
  /** pilot_xds_recv_max: size of a request. */
  readonly received: (bytes: number) => void;
  /** pilot_xds_push_time: from taking changes until every stream was told. */
  readonly pushTime: (ms: number) => void;
  /** pilot_proxy_queue_time, pilot_debounce_time: from a change until its push began. */
  readonly queueTime: (ms: number) => void;
  /** pilot_pushcontext_init_seconds: from taking changes until what all proxies share was brought up to date. */
  readonly settleTime: (ms: number) => void;
  /** grpc_server_*: a stream of a method (`/package.Service/Method`) began. */
  readonly callBegan: (path: string) => CallMetrics;
  /** pilot_proxy_convergence_time: from a change until a stream had sent all it owed. */
  readonly convergenceTime: (ms: number) => void;
}

const ignore = (): void => {};

const noCall: CallMetrics = { received: ignore, sent: ignore, ended: ignore };

/** Counts nothing. */
export const noMetrics: XdsMetrics = {
  streamOpened: ignore,
  streamClosed: ignore,
  streamRefused: ignore,
  sent: ignore,
  sendTime: ignore,
  rejected: ignore,
  staleNonce: ignore,
  writeTimeout: ignore,
  internalError: ignore,
  received: ignore,
  pushTime: ignore,
  queueTime: ignore,
  settleTime: ignore,
  callBegan: () => noCall,
  convergenceTime: ignore,
};
