// Signing and verifying on libuv's threads, so that the event loop goes on serving meanwhile.
import { type KeyObject, sign, verify } from 'node:crypto';

/** A signature; ECDSA in DER form unless `encoding` asks for JOSE's. Rejects when the key cannot sign. */
export function signBytes(
  hash: string,
  data: Buffer,
  key: KeyObject,
  encoding: 'der' | 'ieee-p1363' = 'der',
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    sign(hash, data, { key, dsaEncoding: encoding }, (error, signature) => {
      if (error === null) {
        resolve(signature);
      } else {
        reject(error);
      }
    });
  });
}

/** How to verify: the hash, and for RSA-PSS the padding and salt. */
export interface VerifyOptions {
  readonly hash: string;
  readonly encoding?: 'der' | 'ieee-p1363';
  readonly padding?: number;
  readonly saltLength?: number;
}

/** Whether the signature is the key's over the data; a signature that cannot be read is a wrong one. */
export function verifyBytes(options: VerifyOptions, data: Buffer, key: KeyObject, signature: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const { padding, saltLength } = options;
    const input = {
      key,
      dsaEncoding: options.encoding ?? 'der',
      ...(padding === undefined ? {} : { padding }),
      ...(saltLength === undefined ? {} : { saltLength }),
    };
    try {
      verify(options.hash, data, input, signature, (error, valid) => resolve(error === null && valid));
    } catch {
      resolve(false);
    }
  });
}
