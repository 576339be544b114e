// The certificates issued by this process that have not ended: for the status page, and to tell who still holds an old one.

/** One issued certificate; nothing in it is secret. Times in milliseconds since 1970. */
export interface IssuedCertificate {
  /** SPIFFE id. */
  readonly identity: string;
  /** Who holds it, as far as known: a pod's UID, or the peer's address. */
  readonly holder: string;
  readonly serial: string;
  readonly signerId: string;
  /** The trust bundle that was handed out with it. */
  readonly bundleVersion: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface Ledger {
  /** Notes a certificate; it takes the place of the same holder's earlier one for that identity. */
  note(certificate: IssuedCertificate): void;
  /** The latest of a holder, or of any holder where `holder` is undefined; undefined if none is in force. */
  latest(identity: string, holder?: string): IssuedCertificate | undefined;
  /** All in force, sorted by identity and holder. */
  list(): readonly IssuedCertificate[];
  readonly size: number;
}

/** Keeps up to `capacity` certificates; the one issued longest ago goes first. */
export function makeLedger(capacity: number, now: () => number): Ledger {
  const byHolder = new Map<string, IssuedCertificate>();
  const inForce = () => [...byHolder.values()].filter((each) => each.notAfter > now());
  return {
    note: (certificate) => {
      const key = `${certificate.identity} ${certificate.holder}`;
      byHolder.delete(key);
      byHolder.set(key, certificate);
      for (const [oldest, { notAfter }] of byHolder) {
        if (byHolder.size <= capacity && notAfter > now()) {
          break;
        }
        byHolder.delete(oldest);
      }
    },
    latest: (identity, holder) => {
      if (holder !== undefined) {
        const found = byHolder.get(`${identity} ${holder}`);
        return found !== undefined && found.notAfter > now() ? found : undefined;
      }
      return inForce().findLast((each) => each.identity === identity);
    },
    list: () => inForce().sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
    get size() {
      return byHolder.size;
    },
  };
}

function keyOf(certificate: IssuedCertificate): string {
  return `${certificate.identity} ${certificate.holder}`;
}
