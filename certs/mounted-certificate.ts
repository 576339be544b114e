// The control plane's own certificate where somebody else makes it: files with certificate, key and roots, followed.
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { type FileTexts, followFiles } from '../config/followed-files.ts';
import { parseBundle } from './bundle.ts';
import { parseCertificates } from './certificate.ts';
import { isRefused, type Refusal, refused } from './refusal.ts';

/** Paths of PEM files. */
export interface CertificateFiles {
  /** Leaf, then intermediates. */
  readonly certificate: string;
  readonly key: string;
  /** By which clients check the certificate. */
  readonly roots: string;
}

/** What the files hold, as PEM, checked to fit together. */
export interface MountedPems {
  readonly certificateChain: string;
  readonly privateKey: string;
  readonly roots: string;
}

/** A certificate in files; what becomes unusable leaves the last good one in force. */
export class MountedCertificate implements AsyncDisposable {
  readonly #listeners = new Set<() => void>();
  #current: MountedPems;
  #following: AsyncDisposable | undefined;

  private constructor(current: MountedPems) {
    this.#current = current;
  }

  /** Reads and follows the files. Refuses where they are unusable now; `onProblem` hears why they are later. */
  static async open(
    files: CertificateFiles,
    onProblem: (reason: string) => void,
  ): Promise<MountedCertificate | Refusal> {
    let opened: MountedCertificate | Refusal | undefined;
    const following = await followFiles([files.certificate, files.key, files.roots], (texts) => {
      const read = readMounted(files, texts);
      if (opened === undefined) opened = isRefused(read) ? read : new MountedCertificate(read);
      else if (isRefused(read)) onProblem(`${read.reason}; the certificate in use stays`);
      else if (!isRefused(opened)) opened.#take(read);
    });
    if (opened === undefined || isRefused(opened)) {
      await following[Symbol.asyncDispose]();
      return opened ?? refused('the certificate files were not read');
    }
    opened.#following = following;
    return opened;
  }

  get current(): MountedPems {
    return this.#current;
  }

  /** Calls back after each change; returns how to stop. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listeners.clear();
    await this.#following?.[Symbol.asyncDispose]();
  }

  #take(read: MountedPems): void {
    this.#current = read;
    for (const listener of [...this.#listeners]) listener();
  }
}

/** What the texts mean; refuses files that are missing, unreadable, or do not belong together. */
export function readMounted(files: CertificateFiles, texts: FileTexts): MountedPems | Refusal {
  const [certificateChain, privateKey, roots] = [files.certificate, files.key, files.roots].map((path) => {
    const read = texts.get(path);
    return read === undefined || 'problem' in read ? refused(`${path} ${read?.problem ?? 'was not read'}`) : read.text;
  });
  for (const each of [certificateChain, privateKey, roots]) if (isRefused(each)) return each;
  const pems = { certificateChain, privateKey, roots } as MountedPems;
  const [leaf] = parseCertificates(pems.certificateChain).certificates;
  if (leaf === undefined) return refused(`${files.certificate} holds no certificate`);
  const key = keyOf(pems.privateKey);
  if (key === undefined) return refused(`${files.key} holds no private key that can be read`);
  if (!leaf.x509.checkPrivateKey(key)) return refused(`the key in ${files.key} is not that of ${files.certificate}`);
  const { bundle } = parseBundle(pems.roots);
  return bundle.roots.length === 0 ? refused(`${files.roots} holds no certificate`) : { ...pems, roots: bundle.pem };
}

function keyOf(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}
