// The control plane's own TLS certificate: the names that agents, ztunnel and the API server look for.
import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { parseHostPort } from '../config/host-port.ts';
import type { Authority } from './authority.ts';
import type { CertsEnvironment } from './environment.ts';
import { type HeldCertificate, RenewingCertificate } from './renewing-certificate.ts';

export interface ServerNameOptions {
  readonly systemNamespace: string;
  /** `default` and undefined add no name. */
  readonly revision?: string;
  /** ISTIOD_CUSTOM_HOST, and `localhost` when running from a folder. */
  readonly customHosts: readonly string[];
  /** `host:port` of meshConfig.defaultConfig.discoveryAddress. */
  readonly discoveryAddress?: string;
}

/** A year; renewed at half of it, and at once when the signer changes. */
const lifetimeSeconds = 365 * 24 * 3600;

/** The certificate's DNS names and IPv4 addresses, without duplicates: those that Istio's has. */
export function serverNames(options: ServerNameOptions): readonly string[] {
  const { systemNamespace, revision, customHosts, discoveryAddress } = options;
  const services = ['istiod', 'istiod-remote', 'istio-pilot'];
  const revisioned = revision === undefined || revision === '' || revision === 'default' ? [] : [`istiod-${revision}`];
  const names = [...services, ...revisioned].map((service) => `${service}.${systemNamespace}.svc`);
  const host = parseHostPort(discoveryAddress ?? '', 15012)?.host ?? '';
  const all = [...customHosts, ...(host === '' ? [] : [host]), ...names].map((name) => name.trim().toLowerCase());
  return [...new Set(all.filter((name) => /^[a-z0-9*._-]{1,253}$/.test(name)))];
}

/** Makes and keeps the certificate. Dispose of it when the server ends. */
export function serverCertificate(
  authority: Authority,
  names: () => readonly string[],
  env: CertsEnvironment,
): RenewingCertificate {
  return new RenewingCertificate(authority, { uris: [], dnsNames: names, lifetimeSeconds: () => lifetimeSeconds }, env);
}

/** What a TLS server needs to present the certificate, and to verify clients' ones against our roots and revocation lists. */
export function tlsContextOf(
  held: Pick<HeldCertificate, 'certificateChain' | 'privateKey' | 'rootBundle'> & Partial<HeldCertificate>,
): SecureContextOptions {
  return {
    cert: held.certificateChain,
    key: held.privateKey,
    ca: held.rootBundle,
    ...(held.revocations === undefined || held.revocations.length === 0 ? {} : { crl: [...held.revocations] }),
    minVersion: 'TLSv1.2',
    // A resumed session would keep a client's certificate trusted after its root was dropped.
    secureOptions: constants.SSL_OP_NO_TICKET,
    sessionIdContext: 'meltemi',
  };
}

/** The certificate as servers follow it. It presents nothing until the first one is made. */
export function tlsSourceOf(certificate: RenewingCertificate): {
  readonly current: () => SecureContextOptions;
  readonly onChange: (listener: () => void) => () => void;
} {
  return {
    current: () => (certificate.current === undefined ? {} : tlsContextOf(certificate.current)),
    onChange: (listener) => certificate.subscribe(() => listener()),
  };
}
