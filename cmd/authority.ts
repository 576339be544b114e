// Opens the certificate authority: a plugged-in CA where its folder holds one, else our own; none where it is turned off.
import { Authority, defaultAuthorityOptions } from '../certs/authority.ts';
import type { CaStore } from '../certs/ca-record.ts';
import type { CertsEnvironment } from '../certs/environment.ts';
import { hasPluggedCa, pluggedSource } from '../certs/plugged.ts';
import { isRefused } from '../certs/refusal.ts';
import type { RootOptions } from '../certs/root.ts';
import { selfSignedSource } from '../certs/self-signed.ts';
import type { Settings } from './settings.ts';

/** What a new self-signed root is like. */
export function rootOptionsOf(settings: Settings, trustDomain: string): RootOptions {
  const { rootLifetimeMs: lifetime, rootRsaBits } = settings;
  return {
    organisation: trustDomain,
    lifetime,
    algorithm: rootRsaBits === undefined ? 'ec-p256' : `rsa-${rootRsaBits}`,
  };
}

/** Undefined with ENABLE_CA_SERVER=false. Throws with the reason where there should be one and is none. */
export async function openAuthority(
  settings: Settings,
  store: CaStore,
  rootOptions: RootOptions,
  env: CertsEnvironment,
): Promise<Authority | undefined> {
  if (!settings.caServer) return undefined;
  const { rootCaDir, cacertsSecret, rootCheckMs, rootGracePercent, caCrl: revocations } = settings;
  const isPlugged = await hasPluggedCa(rootCaDir, { exceptOwn: cacertsSecret });
  const isRenewed = rootCheckMs > 0;
  const source = isPlugged
    ? pluggedSource(rootCaDir, env, { revocations })
    : selfSignedSource(store, { ...rootOptions, renewalPercent: rootGracePercent, isRenewed }, env);
  const pollInterval = Math.min(defaultAuthorityOptions.pollInterval, isRenewed ? rootCheckMs : Infinity);
  const authority = await Authority.open(source, env, { ...defaultAuthorityOptions, pollInterval });
  if (isRefused(authority)) throw new Error(`certificate authority: ${authority.reason}`);
  return authority;
}
