// Which proxies with an agent are ready for a rotation's next step: told by the certificates that they were issued.
import { formatIdentity, type Identity } from './identity.ts';
import type { IssuedCertificate, Ledger } from './ledger.ts';
import type { Place } from './replica-report.ts';
import type { Readiness } from './rotation-driver.ts';

/** Under which names a ledger keeps a certificate. */
export type Holder = Pick<IssuedCertificate, 'identity' | 'holder'>;

/** A connected proxy whose agent asks for its certificates itself. */
export interface ConnectedAgent {
  /** As `laggards` are shown. */
  readonly name: string;
  readonly identity: Identity & { readonly podUid?: string };
  /** `host:port` of its stream. */
  readonly peer: string;
}

/** What a proxy must have before the step after this place is safe. */
export function readinessOf({ step, bundleVersion, signerId }: Place): Readiness {
  return { bundleVersion, ...(step === 'sign-new' ? { signerId } : {}) };
}

/** The names under which a ledger may have the agent's certificate: its pod where the token names one, else its address. */
export function holdersOf({ identity, peer }: ConnectedAgent): readonly Holder[] {
  const id = formatIdentity(identity);
  const holders = [...(identity.podUid === undefined ? [] : [identity.podUid]), peer.replace(/:\d+$/, '')];
  return holders.map((holder) => ({ identity: id, holder }));
}

/** Whether a certificate is what the step asks for. */
export function isOfStep(
  certificate: Pick<IssuedCertificate, 'bundleVersion' | 'signerId'> | undefined,
  { bundleVersion, signerId }: Readiness,
): boolean {
  return certificate?.bundleVersion === bundleVersion && (signerId === undefined || certificate.signerId === signerId);
}

/**
 * The agents whose latest certificate came with another trust bundle, or is of another signer than asked for, one of each
 * name, sorted. One of which we issued nothing that is still in force counts as lagging: it may hold anything.
 */
export function laggingAgents(
  agents: Iterable<ConnectedAgent>,
  latest: Ledger['latest'],
  readiness: Readiness,
): readonly ConnectedAgent[] {
  const lagging = new Map<string, ConnectedAgent>();
  for (const agent of agents) {
    const held = holdersOf(agent).map(({ identity, holder }) => latest(identity, holder));
    if (
      !isOfStep(
        held.find((each) => each !== undefined),
        readiness,
      )
    ) {
      lagging.set(agent.name, agent);
    }
  }
  return [...lagging.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
