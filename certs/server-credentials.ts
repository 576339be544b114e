// gRPC server credentials whose certificate is replaced without a restart, and that ask clients for one without insisting.
import { ServerCredentials } from '@grpc/grpc-js';
import type { HeldCertificate, RenewingCertificate } from './renewing-certificate.ts';
import { tlsContextOf } from './server-certificate.ts';

/**
 * TLS 1.2 or later. A client certificate is optional; one whose chain does not lead to our roots counts as none (the
 * call's auth context stays empty), so that such a client needs a token, or is refused.
 */
export class RotatingServerCredentials extends ServerCredentials implements Disposable {
  readonly #stop: () => void;

  private constructor(certificate: RenewingCertificate, held: HeldCertificate) {
    super({ requestCert: true, rejectUnauthorized: false, ...tlsContextOf(held) }, tlsContextOf(held));
    this.#stop = certificate.subscribe((next) => this.updateSecureContextOptions(tlsContextOf(next)));
  }

  /** Waits for the first certificate. Rejects when there is none. */
  static async open(certificate: RenewingCertificate): Promise<RotatingServerCredentials> {
    return new RotatingServerCredentials(certificate, await certificate.ready());
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }

  [Symbol.dispose](): void {
    this.#stop();
  }
}
