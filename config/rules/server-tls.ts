// Rules of TLS settings of servers, which Gateway and Sidecar share.
import type { ValueOf } from '../kinds/field.ts';
import type { serverTlsSettings } from '../kinds/gateway.ts';
import { doubtful, each, type Findings, fine, invalid, missing } from './finding.ts';

type ServerTls = ValueOf<typeof serverTlsSettings>;

/** Checks that a mode has the certificates that it needs, and none that it cannot use. */
export function checkServerTls(tls: ServerTls, path: string): Findings {
  const mode = tls.mode ?? 'PASSTHROUGH';
  switch (mode) {
    case 'ISTIO_MUTUAL':
      return checkIstioMutual(tls, path);
    case 'PASSTHROUGH':
    case 'AUTO_PASSTHROUGH':
      return certificateFields.some((name) => isSet(tls[name]))
        ? doubtful(path, `${mode} mode does not use certificates, they will be ignored`)
        : fine;
    default:
      return checkCertificates(tls, mode, path);
  }
}

const certificateFields = ['serverCertificate', 'privateKey', 'caCertificates', 'credentialName'] as const;
const fieldNames = {
  serverCertificate: 'server certificate',
  privateKey: 'private key',
  caCertificates: 'CA bundle',
  credentialName: 'credentialName',
} as const;

function isSet(text: string | undefined): boolean {
  return text !== undefined && text !== '';
}

/** Mutual TLS by the mesh's own certificates: everything else would be ignored. */
function checkIstioMutual(tls: ServerTls, path: string): Findings {
  return certificateFields.flatMap((name) =>
    isSet(tls[name]) ? invalid(`${path}.${name}`, `ISTIO_MUTUAL TLS cannot have associated ${fieldNames[name]}`) : fine,
  );
}

/** The most certificates that Envoy serves by key type. */
const mostCertificates = 2;

function checkCertificates(tls: ServerTls, mode: string, path: string): Findings {
  if (isSet(tls.credentialName) || (tls.credentialNames ?? []).length > 0) return checkNames(tls, mode, path);
  const certificates = tls.tlsCertificates ?? [];
  const pairs = certificates.length > 0 ? fine : checkPair(tls, mode, path);
  return [
    ...pairs,
    ...each(certificates, `${path}.tlsCertificates`, (certificate, at) => checkPair(certificate, mode, at)),
    ...(certificates.length > mostCertificates
      ? doubtful(`${path}.tlsCertificates`, `${mode} TLS can support up to ${mostCertificates} server certificates`)
      : fine),
    ...(mode === 'SIMPLE' || isSet(tls.caCertificates)
      ? fine
      : missing(`${path}.caCertificates`, `${mode} TLS requires a client CA bundle`)),
  ];
}

function checkNames(tls: ServerTls, mode: string, path: string): Findings {
  return (tls.credentialNames ?? []).length > mostCertificates
    ? doubtful(`${path}.credentialNames`, `${mode} TLS can support up to ${mostCertificates} server certificates`)
    : fine;
}

function checkPair(
  pair: { readonly serverCertificate?: string; readonly privateKey?: string },
  mode: string,
  path: string,
): Findings {
  return [
    ...(isSet(pair.serverCertificate)
      ? fine
      : missing(`${path}.serverCertificate`, `${mode} TLS requires a server certificate`)),
    ...(isSet(pair.privateKey) ? fine : missing(`${path}.privateKey`, `${mode} TLS requires a private key`)),
  ];
}
