// Envoy's Secret messages: a certificate with its key, or the roots a peer must chain to.
import { create, toBinary } from '@bufbuild/protobuf';
import { DataSourceSchema } from '../../../protos/gen/envoy/config/core/v3/base_pb.js';
import { SecretSchema } from '../../../protos/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { type EncodedResource, encodeResource } from '../../resource.ts';
import { typeUrls } from '../../xds-types.ts';

/** PEM texts of a certificate to present. */
export interface CertificatePems {
  readonly chain: string;
  readonly key: string;
  /** DER of an OCSP response to staple. */
  readonly ocspStaple?: Uint8Array;
}

/** PEM texts by which a peer is verified. */
export interface ValidationPems {
  readonly roots: string;
  readonly revocations?: string;
}

/** A Secret with a certificate and key. `name` is the one that was asked for. */
export function certificateSecret(name: string, pems: CertificatePems): EncodedResource {
  const tls = {
    certificateChain: inline(pems.chain),
    privateKey: inline(pems.key),
    ...(pems.ocspStaple === undefined
      ? {}
      : { ocspStaple: create(DataSourceSchema, { specifier: { case: 'inlineBytes', value: pems.ocspStaple } }) }),
  };
  return encode(name, { case: 'tlsCertificate', value: tls });
}

/** A Secret with roots, and revocation lists where there are any. */
export function validationSecret(name: string, pems: ValidationPems): EncodedResource {
  const context = {
    trustedCa: inline(pems.roots),
    ...(pems.revocations === undefined ? {} : { crl: inline(pems.revocations) }),
  };
  return encode(name, { case: 'validationContext', value: context });
}

type SecretType = Parameters<typeof create<typeof SecretSchema>>[1] extends infer Init | undefined
  ? Init extends { type?: infer T }
    ? T
    : never
  : never;

function encode(name: string, type: SecretType): EncodedResource {
  const secret = create(SecretSchema, { name, type } as Parameters<typeof create<typeof SecretSchema>>[1]);
  return encodeResource(typeUrls.secret, name, toBinary(SecretSchema, secret));
}

function inline(text: string) {
  return create(DataSourceSchema, { specifier: { case: 'inlineBytes', value: Buffer.from(text) } });
}
