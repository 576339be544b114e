// Where the commands find the authority of a folder installation, and how long a text such as `24h` is.
import { Option } from 'commander';
import { type Refusal, refused } from '../certs/refusal.ts';
import { defaultRootLifetime, type RootOptions } from '../certs/root.ts';

/** The authority's directory when running from a folder. */
export const defaultCaDirectory = './.meltemi/ca';

/** `--ca-dir`, shared by the commands that use the authority's record. */
export function caDirectoryOption(): Option {
  return new Option('--ca-dir <directory>', "the authority's directory")
    .default(defaultCaDirectory)
    .env('MELTEMI_CA_DIR');
}

/** What a new root is like when a command makes one before any server has run. */
export function rootOptionsOf(trustDomain: string): RootOptions {
  return { organisation: trustDomain, lifetime: defaultRootLifetime, algorithm: 'ec-p256' };
}

/** Seconds of `90`, `30s`, `10m`, `24h` or `7d`. */
export function parseSeconds(text: string): number | Refusal {
  const [, digits = '', unit = 's'] = /^(\d{1,9})(s|m|h|d)?$/.exec(text) ?? [];
  const factor = { s: 1, m: 60, h: 3600, d: 86_400 }[unit] ?? 1;
  return digits === ''
    ? refused(`${JSON.stringify(text.slice(0, 40))} is not a duration such as 30s, 10m, 24h or 7d`)
    : Number(digits) * factor;
}
