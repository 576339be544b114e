// Filter chains of a gateway's listener before they are built, and which of them Envoy takes side by side.
import type { ServerTlsSettings } from '../../../../config/kinds/gateway.ts';
import type { StreamChain } from './stream-chains.ts';

/** A filter chain: HTTP by a route configuration, or a stream. `tls` ends TLS. Plain data, so that it can be part of a key. */
export type ChainPlan =
  | {
      readonly kind: 'http';
      readonly routeName: string;
      readonly sni: readonly string[];
      readonly tls?: ServerTlsSettings;
    }
  | { readonly kind: 'stream'; readonly chain: StreamChain; readonly tls?: ServerTlsSettings };

/** Server names by which a chain is chosen; empty takes any, and connections without one. */
export function namesOf(plan: ChainPlan): readonly string[] {
  return plan.kind === 'http' ? plan.sni : plan.chain.sni;
}

/**
 * The chains that Envoy accepts on one listener: it refuses a listener as a whole, with all that it served, for two chains
 * of one server name, a pattern other than `*.suffix`, a chain without a cluster, a malformed hash of a certificate, or,
 * where no agent (`agentSds`) takes the blame, a certificate without a file.
 * The first chain keeps a name. A chain that loses all its names goes, since without any it would take every connection.
 */
export function acceptable(plans: readonly ChainPlan[], agentSds: boolean): readonly ChainPlan[] {
  const taken = new Set<string>();
  return plans.flatMap((plan) => {
    if (plan.kind === 'stream' && plan.chain.target.clusters.length === 0) return [];
    if (plan.tls !== undefined && !(verifiable(plan.tls) && (agentSds || hasCertificates(plan.tls)))) return [];
    const alpn = plan.kind === 'stream' && plan.chain.alpn.length > 0 ? plan.chain.alpn : [''];
    const written = namesOf(plan).map((name) => name.toLowerCase());
    const any = written.length === 0 || written.includes('*');
    const names = any ? ['*'] : [...new Set(written)].filter(isServerName);
    const free = names.filter((name) => !alpn.some((protocol) => taken.has(`${name}|${protocol}`)));
    for (const name of free) for (const protocol of alpn) taken.add(`${name}|${protocol}`);
    if (free.length === 0) return [];
    // `*` stays written: it asks for any name, for which TLS has to be looked at.
    return [any ? plan : withNames(plan, free)];
  });
}

function withNames(plan: ChainPlan, sni: readonly string[]): ChainPlan {
  return plan.kind === 'http' ? { ...plan, sni } : { ...plan, chain: { ...plan.chain, sni } };
}

/** Envoy's server names: exact, or a wildcard for whole labels in front. */
function isServerName(name: string): boolean {
  const rest = name.startsWith('*.') ? name.slice(2) : name;
  return rest !== '' && !rest.includes('*');
}

/** What clients are checked by must be usable as a whole: leaving a part out would change who is let in. */
function verifiable({ verifyCertificateHash, verifyCertificateSpki, subjectAltNames }: ServerTlsSettings): boolean {
  return (
    (verifyCertificateHash ?? []).every((hash) => /^([0-9a-f]{64}|([0-9a-f]{2}:){31}[0-9a-f]{2})$/iu.test(hash)) &&
    (verifyCertificateSpki ?? []).every((spki) => /^[A-Za-z0-9+/]{43}=$/u.test(spki)) &&
    (subjectAltNames ?? []).every((name) => name !== '')
  );
}

function hasCertificates(tls: ServerTlsSettings): boolean {
  const { mode, credentialName = '', credentialNames = [], tlsCertificates = [], caCertificates = '' } = tls;
  if (mode === 'ISTIO_MUTUAL' || credentialName !== '' || credentialNames.length > 0) return true;
  const pairs = tlsCertificates.length > 0 ? tlsCertificates : [tls];
  const asksClients = mode === 'MUTUAL';
  return (
    pairs.every(({ serverCertificate = '', privateKey = '' }) => serverCertificate !== '' && privateKey !== '') &&
    (!asksClients || caCertificates !== '')
  );
}
