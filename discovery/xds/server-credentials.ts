// gRPC server credentials whose certificate is replaced without a restart, and that ask clients for one without insisting.
import type { SecureContextOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';

/** TLS of a port: what to present now, and to be told when that becomes another. */
export interface TlsSource {
  /** `cert` and `key` in PEM; `ca` holds the roots for client certificates. */
  readonly current: () => SecureContextOptions;
  /** Calls back after each change; returns how to stop that. */
  readonly onChange: (listener: () => void) => () => void;
}

/**
 * TLS 1.2 or later (contract 1.2). A client certificate is optional; one whose chain does not lead to our roots counts
 * as none (the call's auth context stays empty), so that such a client needs a token, or is refused.
 */
export class ReloadingCredentials extends ServerCredentials implements Disposable {
  readonly #source: TlsSource;
  readonly #stop: () => void;

  constructor(source: TlsSource) {
    super({ requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2' }, source.current());
    this.#source = source;
    this.#stop = source.onChange(() => this.updateSecureContextOptions(source.current()));
  }

  override _equals(other: ServerCredentials): boolean {
    return other instanceof ReloadingCredentials && other.#source === this.#source;
  }

  [Symbol.dispose](): void {
    this.#stop();
  }
}
