// Gateway: what a gateway proxy listens on, and its TLS (networking.istio.io).
import { ageColumn, meshStatus, networkingVersions } from './common.ts';
import { atMostOneOf } from './crd-keywords.ts';
import { choice, flag, listOf, mapOf, message, required, text, uint32, type ValueOf } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

const tlsVersion = ['TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3'] as const;

const oneOrTwo = { crd: { minItems: 1, maxItems: 2 } };

const tlsCertificate = message('Files of one certificate.', {
  serverCertificate: text('File with the certificate.'),
  privateKey: text('File with the private key.'),
  caCertificates: text('File with the CA certificates; not used.'),
});

export const serverTlsSettings = message(
  'TLS of connections that the proxy accepts.',
  {
    httpsRedirect: flag('Redirects every HTTP request to HTTPS.'),
    mode: choice(
      ['PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'AUTO_PASSTHROUGH', 'ISTIO_MUTUAL', 'OPTIONAL_MUTUAL'],
      'Whether TLS ends here, and whether clients show certificates.',
    ),
    serverCertificate: text('File with the server certificate.'),
    privateKey: text('File with the private key.'),
    caCertificates: text('File with the CA certificates that verify clients.'),
    caCrl: text('File with a certificate revocation list.'),
    credentialName: text('Secret with certificate, key and CA; excludes the files.'),
    credentialNames: listOf(
      text('A Secret.'),
      'Secrets with certificates of different types, RSA and ECDSA.',
      oneOrTwo,
    ),
    caCertCredentialName: text('Secret with the CA certificates only.'),
    tlsCertificates: listOf(tlsCertificate, 'Certificates of different types, RSA and ECDSA, from files.', oneOrTwo),
    subjectAltNames: listOf(text('A DNS name or URI.'), 'Names of which a client certificate must carry one.'),
    verifyCertificateSpki: listOf(text('A base64 SHA-256.'), 'Public keys that client certificates may have.'),
    verifyCertificateHash: listOf(text('A hex SHA-256.'), 'Client certificates that are accepted.'),
    minProtocolVersion: choice(tlsVersion, 'Lowest TLS version.'),
    maxProtocolVersion: choice(tlsVersion, 'Highest TLS version.'),
    cipherSuites: listOf(text("A suite, by OpenSSL's name."), 'Cipher suites for TLS up to 1.2.'),
    insecureSkipVerify: flag('Asks clients for a certificate but accepts any.', { crd: { nullable: true } }),
  },
  {
    crd: {
      rules: [
        atMostOneOf(
          ['tlsCertificates', 'credentialNames'],
          'only one of credentialNames or tlsCertificates can be set',
        ),
        atMostOneOf(['credentialName', 'credentialNames'], 'only one of credentialName or credentialNames can be set'),
      ],
    },
  },
);
export type ServerTlsSettings = ValueOf<typeof serverTlsSettings>;

export const gatewayPort = message(
  'A port that a gateway listens on.',
  {
    number: uint32('Port number.'),
    protocol: text('HTTP, HTTP2, HTTPS, GRPC, GRPC-WEB, TLS, TCP, MONGO, MYSQL, REDIS, in any case.'),
    name: text('Name of the port.'),
    targetPort: uint32('Not used.', { deprecated: true }),
  },
  { crd: { required: ['number', 'protocol', 'name'] } },
);
export type GatewayPort = ValueOf<typeof gatewayPort>;

export const gatewayServer = message(
  'One port with the hosts that it serves.',
  {
    port: gatewayPort,
    bind: text('Address or unix socket to listen on; all addresses by default.'),
    hosts: listOf(
      text('`namespace/host`; the namespace may be `*` or `.`.'),
      'Hosts that VirtualServices may bind to.',
    ),
    tls: serverTlsSettings,
    defaultEndpoint: text('Loopback address that traffic goes to; sidecars only.'),
    name: text('Name of the server, for statistics.'),
  },
  { crd: { required: ['port', 'hosts'] } },
);
export type GatewayServer = ValueOf<typeof gatewayServer>;

const spec = message('What is wanted.', {
  servers: listOf(gatewayServer, 'Ports to listen on.'),
  selector: mapOf(
    text('Label value.'),
    'Labels of the gateway pods; all pods of the mesh that carry them, by default.',
  ),
});
export type GatewaySpec = ValueOf<typeof spec>;

export const gateway = defineKind({
  kind: 'Gateway',
  group: 'networking.istio.io',
  plural: 'gateways',
  singular: 'gateway',
  shortNames: ['gw'],
  categories: ['istio-io', 'networking-istio-io'],
  versions: networkingVersions,
  scope: 'Namespaced',
  builtin: false,
  printerColumns: [ageColumn],
  description: 'Opens ports on gateway proxies at the edge of the mesh, with their hosts and TLS.',
  body: message('A Gateway.', { spec: required(spec), status: meshStatus }, { crd: { notRequired: ['spec'] } }),
});
export type Gateway = ObjectOfDef<typeof gateway>;
