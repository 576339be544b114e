// The filter chains of an inbound port: what each takes by transport and ALPN, for each mTLS mode and protocol.
import type { MtlsMode } from '../../../model/mtls.ts';
import { plainHttp } from '../filters/listener-filters.ts';

/** How a port is served: known to be HTTP, known not to be, or told by the first bytes. */
export type Served = 'http' | 'tcp' | 'auto';

/** One filter chain of a port. */
export interface ChainMatch {
  readonly serves: 'http' | 'tcp';
  readonly transport: 'tls' | 'raw_buffer';
  readonly protocols: readonly string[];
  /** Whether the proxy takes part in the TLS; else TLS is the application's own. */
  readonly mutual: boolean;
}

/** ALPN of Istio's clients for HTTP (contract 3.3). */
const istioHttp = ['istio-http/1.0', 'istio-http/1.1', 'istio-h2'];

/** ALPN of Istio's clients for anything else. */
const istioTcp = ['istio-peer-exchange', 'istio'];

/** All ALPN values that say that the TLS is Istio's and not the application's. */
const istioAny = ['istio', 'istio-peer-exchange', ...istioHttp];

const table: Readonly<Record<MtlsMode, Readonly<Record<Served, readonly ChainMatch[]>>>> = {
  STRICT: {
    http: [mutual('http', [])],
    tcp: [mutual('tcp', [])],
    auto: [mutual('http', istioHttp), mutual('tcp', [])],
  },
  PERMISSIVE: {
    http: [mutual('http', istioAny), plain('http')],
    tcp: [mutual('tcp', istioAny), applicationTls(), plain('tcp')],
    auto: [
      mutual('http', istioHttp),
      plain('http', plainHttp),
      mutual('tcp', istioTcp),
      plain('tcp'),
      applicationTls(),
    ],
  },
  DISABLE: {
    http: [plain('http')],
    tcp: [plain('tcp')],
    auto: [plain('http', plainHttp), plain('tcp')],
  },
};

/** The chains of a port, in order. */
export function chainMatches(mode: MtlsMode, served: Served): readonly ChainMatch[] {
  return table[mode][served];
}

/** The only chain of a port whose TLS the proxy ends with certificates of a Sidecar. */
export function ownTls(served: Served): readonly ChainMatch[] {
  return [{ serves: served === 'http' ? 'http' : 'tcp', transport: 'tls', protocols: [], mutual: false }];
}

function mutual(serves: 'http' | 'tcp', protocols: readonly string[]): ChainMatch {
  return { serves, transport: 'tls', protocols, mutual: true };
}

function plain(serves: 'http' | 'tcp', protocols: readonly string[] = []): ChainMatch {
  return { serves, transport: 'raw_buffer', protocols, mutual: false };
}

function applicationTls(): ChainMatch {
  return { serves: 'tcp', transport: 'tls', protocols: [], mutual: false };
}
