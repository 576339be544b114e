// Proxies as far as a rotation of the root sees them: streams that follow their certificate and roots, and come back when cut.
import { X509Certificate } from 'node:crypto';
import { Client, credentials } from '@grpc/grpc-js';
import { typeUrls } from '../../discovery/xds-types.ts';
import { createCertificate } from './certificate-server.ts';
import { ecKeys, makeCsr } from './csr.ts';
import { sleep } from './wait.ts';
import { type Received, sidecarNode } from './xds/client.ts';
import { connect, type GrpcStream } from './xds/grpc-client.ts';

export interface SecretProxyOptions {
  /** Its name and its pod's, in namespace `default`. */
  readonly name: string;
  readonly token: string;
  /** PEM roots of the first connection. */
  readonly roots: string;
  /** `host:port` of the control plane that it comes to at this moment. */
  readonly address: () => string;
  /** With an agent it gets its certificate by `renew`, else on its stream. */
  readonly agent?: boolean;
}

/** A proxy. Its certificate and roots are those that it has acknowledged, or that its agent was given. */
export class SecretProxy implements AsyncDisposable {
  readonly name: string;
  certificate: X509Certificate | undefined;
  roots: readonly X509Certificate[] = [];
  /** While set, it neither takes nor acknowledges messages with this secret, as a proxy that is stuck. */
  stuckAt: 'default' | 'ROOTCA' | undefined;
  /** The control plane that it is connected to. */
  connectedTo = '';
  readonly #options: SecretProxyOptions;
  readonly #running: Promise<void>;
  #ended = false;
  #stream: GrpcStream | undefined;

  constructor(options: SecretProxyOptions) {
    this.#options = options;
    this.name = options.name;
    this.#running = this.#run();
  }

  /** Ends the stream; the proxy comes back. */
  cut(): void {
    this.#stream?.end();
  }

  /** As an agent does now and then: asks that control plane for a certificate. */
  async renew(address: string): Promise<void> {
    const client = new Client(address, credentials.createSsl(this.#rootsPem()));
    try {
      const csr = makeCsr(ecKeys(), { uris: ['spiffe://cluster.local/ns/default/sa/web'] });
      const [leaf = '', ...rest] = await createCertificate(client, { csr, token: this.#options.token });
      this.#take(leaf, rest.join(''));
    } finally {
      client.close();
    }
  }

  /** Why this one would not accept the other's certificate; undefined where it would, or has none of its own yet. */
  objection(other: SecretProxy): string | undefined {
    const { certificate } = other;
    if (certificate === undefined || this.roots.length === 0) return undefined;
    const isTrusted = this.roots.some((root) => certificate.checkIssued(root) && certificate.verify(root.publicKey));
    return isTrusted ? undefined : `${this.name} does not trust ${other.name} (${certificate.issuer})`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    this.cut();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      const address = this.#options.address();
      const connection = connect(address, credentials.createSsl(this.#rootsPem()));
      this.#stream = connection.open('delta', { authorization: `Bearer ${this.#options.token}` });
      await this.#follow(this.#stream, address);
      this.connectedTo = '';
      connection.close();
      await sleep(200);
    }
  }

  async #follow(stream: GrpcStream, address: string): Promise<void> {
    const { id, metadata } = sidecarNode(this.name);
    const version = this.#options.agent === true ? { ISTIO_VERSION: '1.27.0' } : {};
    const node = { id: id ?? '', metadata: { ...metadata, ...version } };
    const typeUrl = this.#options.agent === true ? typeUrls.cluster : typeUrls.secret;
    stream.delta({ node, typeUrl, resourceNamesSubscribe: this.#names() });
    let ended = false;
    void stream.status.then(() => {
      ended = true;
    });
    for (let read = 0; !ended && !this.#ended; ) {
      const message = stream.received[read];
      if (message === undefined || (this.stuckAt !== undefined && message.resources.has(this.stuckAt))) {
        await sleep(10);
        continue;
      }
      read++;
      this.connectedTo = address;
      this.#takeAll(message);
      stream.delta({ typeUrl, responseNonce: message.nonce });
    }
  }

  #names(): string[] {
    return this.#options.agent === true ? ['*'] : ['default', 'ROOTCA'];
  }

  #takeAll({ resources }: Received): void {
    this.#take(resources.get('default') ?? '', resources.get('ROOTCA') ?? '');
  }

  #take(chain: string, roots: string): void {
    const [leaf] = certificatesIn(chain);
    if (leaf !== undefined) this.certificate = leaf;
    if (roots !== '') this.roots = certificatesIn(roots);
  }

  #rootsPem(): Buffer {
    return Buffer.from(this.roots.length === 0 ? this.#options.roots : this.roots.map(String).join('\n'));
  }
}

function certificatesIn(text: string): readonly X509Certificate[] {
  const pems = text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return pems.map((pem) => new X509Certificate(pem));
}
