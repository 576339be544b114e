// Rules of the TLS of servers: gateways, and the inbound listeners of Sidecars.
import type { ServerTlsSettings } from '../kinds/gateway.ts';
import { cipherSuites } from './cipher-suites.ts';
import { conflict, doubtful, type Findings, fine, missing } from './finding.ts';

/** Checks the TLS of a server, if it has any. */
export function checkServerTls(tls: ServerTlsSettings | undefined, path: string): Findings {
  if (tls === undefined) return fine;
  return [...checkCiphers(tls, path), ...checkCertificates(tls, path)];
}

function checkCiphers(tls: ServerTlsSettings, path: string): Findings {
  const at = `${path}.cipherSuites`;
  const suites = tls.cipherSuites ?? [];
  const unknown = suites.filter((suite) => !cipherSuites.has(suite));
  const twice = suites.filter((suite, index) => cipherSuites.has(suite) && suites.indexOf(suite) !== index);
  return [
    ...(unknown.length > 0 ? doubtful(at, `ignoring invalid cipher suites: ${unknown.join(', ')}`) : fine),
    ...(twice.length > 0 ? doubtful(at, `ignoring duplicate cipher suites: ${twice.join(', ')}`) : fine),
  ];
}

function checkCertificates(tls: ServerTlsSettings, path: string): Findings {
  const mode = tls.mode ?? 'PASSTHROUGH';
  if (mode === 'ISTIO_MUTUAL') return checkNoneFor(tls, path);
  if (mode === 'PASSTHROUGH' || mode === 'AUTO_PASSTHROUGH') {
    return named(tls).length > 0
      ? doubtful(path, `${mode} mode does not use certificates, they will be ignored`)
      : fine;
  }
  const name = mode === 'SIMPLE' ? 'SIMPLE' : 'MUTUAL';
  const sources = sourcesOf(tls);
  const several =
    sources.length > 1
      ? conflict(
          path,
          'only one of credential_name, credential_names, server_certificate/private_key, tls_certificates should be specified',
        )
      : fine;
  return [...several, ...checkSource(tls, sources, name, path)];
}

/** Mutual TLS of the mesh uses the certificates of the workload. */
function checkNoneFor(tls: ServerTlsSettings, path: string): Findings {
  return named(tls).flatMap((field) =>
    conflict(`${path}.${field}`, `ISTIO_MUTUAL TLS cannot have associated ${field}`),
  );
}

function named(tls: ServerTlsSettings): readonly (keyof ServerTlsSettings)[] {
  const texts = ['serverCertificate', 'privateKey', 'caCertificates', 'credentialName'] as const;
  const lists = ['credentialNames', 'tlsCertificates'] as const;
  return [...texts.filter((field) => Boolean(tls[field])), ...lists.filter((field) => (tls[field] ?? []).length > 0)];
}

type CertificateSource = 'credentialName' | 'credentialNames' | 'files' | 'tlsCertificates';

function sourcesOf(tls: ServerTlsSettings): readonly CertificateSource[] {
  const sources: CertificateSource[] = [];
  if (tls.credentialName) sources.push('credentialName');
  if ((tls.credentialNames ?? []).length > 0) sources.push('credentialNames');
  if (tls.serverCertificate || tls.privateKey) sources.push('files');
  if ((tls.tlsCertificates ?? []).length > 0) sources.push('tlsCertificates');
  return sources;
}

function checkSource(
  tls: ServerTlsSettings,
  sources: readonly CertificateSource[],
  mode: 'SIMPLE' | 'MUTUAL',
  path: string,
): Findings {
  const many =
    (tls.tlsCertificates ?? []).length > 2
      ? doubtful(path, `${mode} TLS can support up to 2 server certificates`)
      : fine;
  if (sources.includes('credentialName') || sources.includes('credentialNames')) return fine;
  const clientCa =
    mode === 'MUTUAL' && !tls.caCertificates ? missing(path, 'MUTUAL TLS requires a client CA bundle') : fine;
  if (sources.includes('tlsCertificates')) {
    const incomplete = (tls.tlsCertificates ?? []).flatMap((certificate, index) =>
      checkFiles(certificate, mode, `${path}.tlsCertificates[${index}]`),
    );
    return [...many, ...incomplete, ...clientCa];
  }
  return [...checkFiles(tls, mode, path), ...clientCa];
}

function checkFiles(
  files: { readonly serverCertificate?: string; readonly privateKey?: string },
  mode: 'SIMPLE' | 'MUTUAL',
  path: string,
): Findings {
  return [
    ...(files.serverCertificate
      ? fine
      : missing(`${path}.serverCertificate`, `${mode} TLS requires a server certificate`)),
    ...(files.privateKey ? fine : missing(`${path}.privateKey`, `${mode} TLS requires a private key`)),
  ];
}
