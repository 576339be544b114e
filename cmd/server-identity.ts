// The control plane's own certificate: from files where there are some, else by its own authority, else none (contract 1.2).
import { access } from 'node:fs/promises';
import type { Authority } from '../certs/authority.ts';
import type { CertsEnvironment } from '../certs/environment.ts';
import { type CertificateFiles, MountedCertificate } from '../certs/mounted-certificate.ts';
import { isRefused } from '../certs/refusal.ts';
import { serverCertificate, serverNames, tlsContextOf, tlsSourceOf } from '../certs/server-certificate.ts';
import type { TlsSource } from '../discovery/xds/server-credentials.ts';
import type { Settings } from './settings.ts';
import { wellKnownFiles } from './settings-table.ts';

/** PEM roots, now and whenever they change. */
export interface FollowedRoots {
  /** Empty where there are none. */
  readonly current: () => string;
  /** Returns how to stop. */
  readonly onChange: (listener: () => void) => () => void;
}

/** How the control plane shows itself, and by which roots it is to be checked. */
export interface ServerIdentity extends AsyncDisposable {
  /** TLS of 15012 and of the webhooks; absent where nobody makes a certificate. */
  readonly tls?: TlsSource;
  readonly roots: FollowedRoots;
  /** Looks whether the certificate is to have other names: they come from the mesh configuration too. */
  readonly namesMayHaveChanged: () => void;
}

/** What it needs from elsewhere. */
export interface ServerIdentityParts {
  readonly settings: Settings;
  readonly authority: Authority | undefined;
  /** `host:port` of meshConfig.defaultConfig.discoveryAddress, now. */
  readonly discoveryAddress: () => string;
  readonly onProblem: (reason: string) => void;
  readonly env: CertsEnvironment;
}

/** Opens it. Throws with the reason where files are there but unusable. */
export async function openServerIdentity(parts: ServerIdentityParts): Promise<ServerIdentity> {
  const { settings, authority } = parts;
  const files = await certificateFiles(settings);
  if (files !== undefined) return mounted(files, parts);
  const none = { current: () => '', onChange: () => () => undefined };
  const roots = authority === undefined ? none : rootsOf(authority);
  if (authority === undefined || settings.certProvider === 'none')
    return { roots, namesMayHaveChanged: () => undefined, [Symbol.asyncDispose]: async () => undefined };
  const certificate = serverCertificate(authority, () => namesOf(parts), parts.env);
  await certificate.ready();
  return {
    tls: tlsSourceOf(certificate),
    roots,
    namesMayHaveChanged: () => certificate.namesMayHaveChanged(),
    [Symbol.asyncDispose]: async () => certificate[Symbol.dispose](),
  };
}

/** Clients are verified against our own roots too, which sign workloads. */
async function mounted(files: CertificateFiles, parts: ServerIdentityParts): Promise<ServerIdentity> {
  const { authority, onProblem } = parts;
  const certificate = await MountedCertificate.open(files, onProblem);
  if (isRefused(certificate)) throw new Error(`the control plane's certificate: ${certificate.reason}`);
  return {
    tls: {
      current: () => {
        const { certificateChain, privateKey, roots } = certificate.current;
        return tlsContextOf({ certificateChain, privateKey, rootBundle: roots + (authority?.state.bundle.pem ?? '') });
      },
      onChange: (listener) => {
        const stops = [certificate.subscribe(listener), authority?.subscribe(() => listener())];
        return () => {
          for (const stop of stops) stop?.();
        };
      },
    },
    roots: { current: () => certificate.current.roots, onChange: (listener) => certificate.subscribe(listener) },
    namesMayHaveChanged: () => undefined,
    [Symbol.asyncDispose]: () => certificate[Symbol.asyncDispose](),
  };
}

function rootsOf(authority: Authority): FollowedRoots {
  return {
    current: () => authority.state.bundle.pem,
    onChange: (listener) => authority.subscribe(() => listener()),
  };
}

/** Those of the flags, or the well-known ones where all are there. */
async function certificateFiles(settings: Settings): Promise<CertificateFiles | undefined> {
  const { tlsCertFile, tlsKeyFile, caCertFile } = settings;
  if (tlsCertFile !== undefined && tlsKeyFile !== undefined && caCertFile !== undefined)
    return { certificate: tlsCertFile, key: tlsKeyFile, roots: caCertFile };
  const { certificate, key } = wellKnownFiles;
  if (!(await isThere(certificate)) || !(await isThere(key))) return undefined;
  for (const roots of wellKnownFiles.roots) if (await isThere(roots)) return { certificate, key, roots };
  return undefined;
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function namesOf({ settings, discoveryAddress }: ServerIdentityParts): readonly string[] {
  const { systemNamespace, revision, customHosts, configDir } = settings;
  return serverNames({
    systemNamespace,
    revision,
    customHosts: configDir === undefined ? customHosts : [...customHosts, 'localhost', '127.0.0.1'],
    discoveryAddress: discoveryAddress(),
  });
}
