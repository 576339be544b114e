// Workload identities: SPIFFE ids of the form spiffe://<trust domain>/ns/<namespace>/sa/<service account>.

/** Who a workload is (SPIFFE-ID, section 2; Istio's path layout). */
export interface Identity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

const longestId = 2048;

/** `spiffe://td/ns/ns/sa/sa`. The parts must be valid; `parseIdentity` and `makeIdentity` see to that. */
export function formatIdentity(identity: Identity): string {
  return `spiffe://${identity.trustDomain}/ns/${identity.namespace}/sa/${identity.serviceAccount}`;
}

/** Reads an id; undefined unless it is exactly of Istio's form. */
export function parseIdentity(id: string): Identity | undefined {
  if (id.length > longestId || !id.startsWith('spiffe://')) {
    return undefined;
  }
  const parts = id.slice('spiffe://'.length).split('/');
  const [trustDomain = '', ns, namespace = '', sa, serviceAccount = ''] = parts;
  if (parts.length !== 5 || ns !== 'ns' || sa !== 'sa' || !isTrustDomain(trustDomain)) {
    return undefined;
  }
  return isNamespace(namespace) && isServiceAccount(serviceAccount)
    ? { trustDomain, namespace, serviceAccount }
    : undefined;
}

/** Builds an identity from a configured trust domain and names; undefined where a name is not a Kubernetes name. */
export function makeIdentity(trustDomain: string, namespace: string, serviceAccount: string): Identity | undefined {
  const domain = normaliseTrustDomain(trustDomain);
  return isTrustDomain(domain) && isNamespace(namespace) && isServiceAccount(serviceAccount)
    ? { trustDomain: domain, namespace, serviceAccount }
    : undefined;
}

/** Google service accounts in trust domains carry `@`, which SPIFFE does not allow; Istio writes `.` instead. */
export function normaliseTrustDomain(trustDomain: string): string {
  return trustDomain.replaceAll('@', '.');
}

/** SPIFFE-ID section 2.1: lower-case letters, digits, dots, dashes and underscores, up to 255 characters. */
export function isTrustDomain(text: string): boolean {
  return text.length <= 255 && /^[a-z0-9._-]+$/.test(text);
}

/** Reads `system:serviceaccount:<namespace>:<name>`, as Kubernetes names service accounts in `sub` and user names. */
export function parseServiceAccountUser(
  user: string,
): { readonly namespace: string; readonly serviceAccount: string } | undefined {
  const parts = user.length > 400 ? [] : user.split(':');
  const [system, kind, namespace = '', serviceAccount = ''] = parts;
  const fits = parts.length === 4 && system === 'system' && kind === 'serviceaccount';
  return fits && isNamespace(namespace) && isServiceAccount(serviceAccount) ? { namespace, serviceAccount } : undefined;
}

/** A DNS label (RFC 1123), as Kubernetes requires of namespaces. */
export function isNamespace(text: string): boolean {
  return text.length <= 63 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(text);
}

/** A DNS subdomain (RFC 1123), as Kubernetes requires of service accounts. */
export function isServiceAccount(text: string): boolean {
  return text.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(text);
}
