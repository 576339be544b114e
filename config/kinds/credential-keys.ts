// The keys of Secrets and ConfigMaps under which certificates stand, the first that is there counts.

/** Istio's of generic Secrets, Kubernetes' of `kubernetes.io/tls` ones. */
export const certificateKeys = ['cert', 'tls.crt'] as const;
export const privateKeys = ['key', 'tls.key'] as const;
export const caKeys = ['cacert', 'ca.crt'] as const;
export const crlKeys = ['crl', 'ca.crl'] as const;
export const ocspKey = 'tls.ocsp-staple';

/** Any of these keys. */
export type CredentialKey =
  | (typeof certificateKeys)[number]
  | (typeof privateKeys)[number]
  | (typeof caKeys)[number]
  | (typeof crlKeys)[number]
  | typeof ocspKey;
