// The SDS names of certificates kept in Secrets and ConfigMaps, as Gateways and DestinationRules make proxies ask for them.

/** What a requested name stands for. The answer must bear the requested string itself, not this. */
export interface CredentialName {
  /** `kubernetes-gateway` names were checked against ReferenceGrants when the resource that refers to them was made. */
  readonly source: 'kubernetes' | 'kubernetes-gateway' | 'configmap';
  readonly namespace: string;
  /** As requested, with a `-cacert` suffix if there is one. */
  readonly name: string;
  /** Only the CA is wanted: `-cacert` names, and all ConfigMaps. */
  readonly caOnly: boolean;
}

const caSuffix = '-cacert';

/**
 * Reads `kubernetes://[ns/]name`, `kubernetes-gateway://ns/name` and `configmap://ns/name`; names without a namespace
 * are of the proxy's own. Undefined for other names (`default`, `file-cert:…`, `invalid://…`).
 */
export function parseCredentialName(resource: string, proxyNamespace: string): CredentialName | undefined {
  const match = /^(kubernetes|kubernetes-gateway|configmap):\/\/(?:([^/]+)\/)?([^/]+)$/.exec(resource.slice(0, 1024));
  const [, source, namespace, name] = match ?? [];
  if (source === undefined || name === undefined || (namespace === undefined && source !== 'kubernetes')) {
    return undefined;
  }
  return {
    source: source as CredentialName['source'],
    namespace: namespace ?? proxyNamespace,
    name,
    caOnly: source === 'configmap' || name.endsWith(caSuffix),
  };
}

/**
 * The Secrets to look for in turn: a `-cacert` name stands for the Secret of that name, or else for the CA in the
 * Secret without the suffix.
 */
export function secretNamesOf(name: CredentialName): readonly string[] {
  return name.caOnly && name.name.endsWith(caSuffix) ? [name.name, name.name.slice(0, -caSuffix.length)] : [name.name];
}
