// An operator's own CA as openssl makes it: a root, an intermediate under it, and revocation lists of both.
import { openssl } from './openssl.ts';

/** What a list is to say; times as milliseconds from now. */
export interface ListOptions {
  /** Serial numbers in hexadecimal. */
  readonly revoked?: readonly string[];
  readonly begins?: number;
  readonly ends?: number;
}

/** PEM texts. */
export interface TestCa {
  readonly certificate: string;
  readonly key: string;
  /** Serial number in hexadecimal. */
  readonly serial: string;
  /** A list that it signs. */
  readonly list: (options?: ListOptions) => string;
}

/** A self-signed CA, or one under `parent`; `usage` is its key usage. */
export function makeCa(name: string, parent?: TestCa, usage = 'keyCertSign,cRLSign'): TestCa {
  const key = openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']);
  const extensions = `[x]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,${usage}\nsubjectKeyIdentifier=hash\n`;
  const csr = openssl(['req', '-new', '-key', 'key', '-subj', `/CN=${name}`], { key });
  const signing =
    parent === undefined
      ? ['-signkey', 'key']
      : ['-CA', 'parent', '-CAkey', 'parentkey', '-set_serial', `0x${Buffer.from(name).toString('hex').slice(0, 16)}`];
  const certificate = openssl(
    ['x509', '-req', '-in', 'csr', ...signing, '-days', '200', '-extfile', 'ext', '-extensions', 'x'],
    {
      csr,
      key,
      ext: extensions,
      ...(parent === undefined ? {} : { parent: parent.certificate, parentkey: parent.key }),
    },
  );
  const serial = openssl(['x509', '-noout', '-serial', '-in', 'c'], { c: certificate }).trim().replace('serial=', '');
  return { certificate, key, serial, list: (options = {}) => listOf(certificate, key, options) };
}

function listOf(certificate: string, key: string, { revoked = [], begins = -60_000, ends = 86_400_000 }: ListOptions) {
  const index = revoked
    .map((serial) => `R\t${timeOf(8.64e9)}\t${timeOf(-60_000)}\t${serial}\tunknown\t/CN=x\n`)
    .join('');
  const config = '[ca]\ndefault_ca=x\n[x]\ndatabase=index\ndefault_md=sha256\n';
  const times = ['-crl_lastupdate', timeOf(begins), '-crl_nextupdate', timeOf(ends)];
  return openssl(['ca', '-gencrl', '-config', 'config', '-cert', 'cert', '-keyfile', 'key', ...times], {
    ...{ config, cert: certificate, key, index, 'index.attr': '' },
  });
}

/** A UTCTime. */
function timeOf(fromNow: number): string {
  return new Date(Date.now() + fromNow).toISOString().replace(/^..|[-:T]|\.\d+/g, '');
}

/** The files of `/etc/cacerts`. */
export function pluggedFilesOf(signer: TestCa, root: TestCa, lists?: string): Readonly<Record<string, string>> {
  return {
    'ca-cert.pem': signer.certificate,
    'ca-key.pem': signer.key,
    'root-cert.pem': root.certificate,
    'cert-chain.pem': signer === root ? '' : signer.certificate,
    ...(lists === undefined ? {} : { 'ca-crl.pem': lists }),
  };
}
