// Which proxies with an agent are ready for a rotation's next step: told by the certificates that they were issued.
import { formatIdentity, type Identity } from './identity.ts';
import type { Ledger } from './ledger.ts';
import type { Readiness } from './rotation-driver.ts';

/** A connected proxy whose agent asks for its certificates itself. */
export interface ConnectedAgent {
  /** As `laggards` are shown. */
  readonly name: string;
  readonly identity: Identity & { readonly podUid?: string };
  /** `host:port` of its stream. */
  readonly peer: string;
}

/**
 * The agents whose latest certificate came with another trust bundle, or is of another signer than asked for. One of
 * which we issued nothing that is still in force counts as lagging: it may hold anything.
 */
export function laggingAgents(
  agents: Iterable<ConnectedAgent>,
  ledger: Pick<Ledger, 'latest'>,
  { bundleVersion, signerId }: Readiness,
): readonly string[] {
  const lagging = new Set<string>();
  for (const { name, identity, peer } of agents) {
    const id = formatIdentity(identity);
    const host = peer.replace(/:\d+$/, '');
    const latest =
      (identity.podUid === undefined ? undefined : ledger.latest(id, identity.podUid)) ?? ledger.latest(id, host);
    const isReady = latest?.bundleVersion === bundleVersion && (signerId === undefined || latest.signerId === signerId);
    if (!isReady) {
      lagging.add(name);
    }
  }
  return [...lagging].sort();
}
