// An operator's own CA in a directory (/etc/cacerts), by Istio's file names or those of Kubernetes TLS Secrets.
import { watch } from 'node:fs';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuthoritySource, AuthorityState } from './authority.ts';
import { parseBundle, type TrustBundle } from './bundle.ts';
import type { CertsEnvironment } from './environment.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';
import { noRevocations, type RevocationLists, readRevocations } from './revocation.ts';
import { makeSigner, type Signer } from './signer.ts';

/** Text by file name; of revocation lists that cannot be read, why. */
export type PluggedFiles = ReadonlyMap<string, string | Refusal>;

interface FileNames {
  readonly certificate: string;
  readonly key: string;
  readonly root: string;
  /** Needed only where the signer is not directly under a root. */
  readonly chain?: string;
}

const nameSets: readonly FileNames[] = [
  { certificate: 'ca-cert.pem', key: 'ca-key.pem', root: 'root-cert.pem', chain: 'cert-chain.pem' },
  { certificate: 'tls.crt', key: 'tls.key', root: 'ca.crt' },
];
const revocationFiles = ['ca-crl.pem', 'ca.crl'];
const knownNames = [...nameSets.flatMap((names) => [...requiredOf(names), names.chain ?? '']), ...revocationFiles];

/** What is read besides the CA. */
export interface PluggedOptions {
  /** Whether its revocation lists are (PILOT_ENABLE_CA_CRL). */
  readonly revocations: boolean;
}
const largestFile = 1024 * 1024;

/** The key by which Secret `cacerts` says that it holds a self-signed CA (USE_CACERTS_FOR_SELF_SIGNED_CA). */
export const generatedMark = 'istio-generated';

/**
 * Whether the directory holds any file of a CA; then it must hold a complete one. With `exceptOwn`, a self-signed CA
 * that is only mounted there does not count.
 */
export async function hasPluggedCa(
  directory: string,
  options: { readonly exceptOwn?: boolean } = {},
): Promise<boolean> {
  const files = await readPluggedFiles(directory);
  const isOwn =
    options.exceptOwn === true && (await readdir(directory).catch((): string[] => [])).includes(generatedMark);
  return !isOwn && (isRefused(files) || files.size > 0);
}

/** The authority in `directory`; read again whenever the directory changes and on each refresh. */
export function pluggedSource(
  directory: string,
  env: CertsEnvironment,
  options: PluggedOptions = { revocations: true },
): AuthoritySource {
  return {
    kind: 'plugged',
    load: async () => {
      const files = await readPluggedFiles(directory);
      return isRefused(files) ? files : readPlugged(files, env.now(), options);
    },
    watch: (changed) => {
      // Kubernetes swaps the symlink `..data` in the directory itself, so one watch on the directory sees all changes.
      const watcher = watch(directory, { persistent: false }, changed);
      watcher.on('error', changed);
      return () => watcher.close();
    },
  };
}

/**
 * What the files mean; refuses incomplete sets, keys that do not match and chains that reach no root. Revocation lists
 * that cannot be used are told in the state: a CA works without.
 */
export function readPlugged(
  files: PluggedFiles,
  now: number,
  options: PluggedOptions = { revocations: true },
): AuthorityState | Refusal {
  const names = nameSets.find((set) => requiredOf(set).every((name) => files.has(name)));
  if (names === undefined) {
    return refused(incompleteness(files));
  }
  const text = (name: string | undefined): string => {
    const found = name === undefined ? undefined : files.get(name);
    return typeof found === 'string' ? found : '';
  };
  const { bundle, problems } = parseBundle(text(names.root));
  if (bundle.roots.length === 0) {
    return refused(`${names.root} holds no certificate${problems[0] === undefined ? '' : ` (${problems[0]})`}`);
  }
  const signer = makeSigner(text(names.certificate), text(names.key), text(names.chain), bundle, now);
  if (isRefused(signer)) {
    return refused(`the CA in ${requiredOf(names).join(', ')} cannot be used: ${signer.reason}`);
  }
  return {
    signer,
    bundle,
    rotation: { step: 'steady', since: 0, held: false },
    ...(options.revocations ? { revocations: revocationsIn(files, signer, bundle, now) } : {}),
  };
}

function revocationsIn(
  files: PluggedFiles,
  signer: Signer,
  bundle: TrustBundle,
  now: number,
): RevocationLists | Refusal {
  const name = revocationFiles.find((each) => files.has(each));
  const found = name === undefined ? '' : (files.get(name) ?? '');
  // An empty file is how Istio writes that there are none.
  if (typeof found === 'string' && found.trim() === '') return noRevocations;
  const lists = typeof found === 'string' ? readRevocations(found, signer, bundle, now) : found;
  return isRefused(lists) ? refused(`${name} cannot be used: ${lists.reason}`) : lists;
}

/** Reads the CA files of a directory; an absent directory is an empty one. Refuses files over 1 MiB. */
export async function readPluggedFiles(directory: string): Promise<PluggedFiles | Refusal> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const before = await dataLink(directory);
    const files = await readFiles(directory);
    // A swap between two reads would mix an old certificate with a new key.
    if (isRefused(files) || before === (await dataLink(directory))) {
      return files;
    }
  }
  return refused(`${directory} keeps changing while it is read`);
}

async function readFiles(directory: string): Promise<PluggedFiles | Refusal> {
  const present = await readdir(directory).catch((): string[] => []);
  const files = new Map<string, string | Refusal>();
  for (const name of knownNames.filter((each) => present.includes(each))) {
    const text = await readBounded(join(directory, name));
    if (isRefused(text) && !revocationFiles.includes(name)) {
      return refused(`${name} ${text.reason}`);
    }
    files.set(name, text);
  }
  return files;
}

async function readBounded(path: string): Promise<string | Refusal> {
  try {
    return (await stat(path)).size > largestFile ? refused('is larger than 1 MiB') : await readFile(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    return refused(`cannot be read (${code})`);
  }
}

function dataLink(directory: string): Promise<string> {
  return readlink(join(directory, '..data')).catch(() => '');
}

function requiredOf(names: FileNames): readonly string[] {
  return [names.certificate, names.key, names.root];
}

/** Which files the set with the most files lacks. */
function incompleteness(files: PluggedFiles): string {
  const missing = nameSets.map((set) => requiredOf(set).filter((name) => !files.has(name)));
  const [first = [], second = []] = missing;
  return `the CA files are incomplete: ${(second.length < first.length ? second : first).join(', ')} missing`;
}
