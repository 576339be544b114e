// Secrets of Gateways and DestinationRules: a Kubernetes Secret or ConfigMap as an Envoy Secret, under the name asked for.
import { caOf, keyPairOf } from '../../../config/credential.ts';
import { type CredentialName, parseCredentialName, secretNamesOf } from '../../../config/credential-name.ts';
import type { Read } from '../../graph/graph.ts';
import { credentialTime } from '../../model/credential-clock.ts';
import { objectOf } from '../../model/object-collection.ts';
import type { EncodedResource } from '../../resource.ts';
import { defineTranslator, refTo, resourceQuery } from '../translator.ts';
import { certificateSecret, validationSecret } from './secret.ts';

/** A requested name, and what it stands for: short names stand for something else in each namespace. */
interface Requested {
  readonly resource: string;
  readonly credential: CredentialName;
}

/** Unusable credentials give nothing: Envoy would refuse them, and only the listener that needs them waits. */
const credentialSecret = resourceQuery<Requested>(
  'credential-secret',
  ({ resource, credential }) => `${resource}|${credential.namespace}`,
  (read, { resource, credential }) =>
    credential.caOnly ? roots(read, resource, credential) : keyPair(read, resource, credential),
);

/** Only answers names asked for; who may have them is decided where streams are served. */
export const credentialSecrets = defineTranslator('credential-secrets', {
  type: 'secret',
  facets: ['namespace'],
  list: () => new Map(),
  find: (_read, { namespace }, resource) => {
    const credential = parseCredentialName(resource, namespace);
    return credential === undefined ? undefined : refTo(credentialSecret, { resource, credential });
  },
});

function keyPair(read: Read, resource: string, { namespace, name }: CredentialName): EncodedResource | undefined {
  const secret = objectOf(read, 'Secret', `${namespace}/${name}`);
  const found = secret === undefined ? undefined : keyPairOf(secret, credentialTime(read));
  if (found === undefined || !('credential' in found)) return undefined;
  const { certificate, key, ocspStaple } = found.credential;
  return certificateSecret(resource, { chain: certificate, key, ...(ocspStaple === undefined ? {} : { ocspStaple }) });
}

function roots(read: Read, resource: string, credential: CredentialName): EncodedResource | undefined {
  const { source, namespace } = credential;
  for (const name of secretNamesOf(credential)) {
    const key = `${namespace}/${name}`;
    const holder = objectOf(read, source === 'configmap' ? 'ConfigMap' : 'Secret', key);
    if (holder === undefined) continue;
    const found = caOf(holder, credentialTime(read));
    if (!('credential' in found)) return undefined;
    const { certificates, crl } = found.credential;
    return validationSecret(resource, { roots: certificates, ...(crl === undefined ? {} : { revocations: crl }) });
  }
  return undefined;
}
