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
  /**
   * The latest of a holder, or of any holder where `holder` is undefined; undefined if none is in force, or it is not
   * among those noted after the first `after`.
   */
  latest(identity: string, holder?: string, after?: number): IssuedCertificate | undefined;
  /** All in force, sorted by identity and holder. */
  list(): readonly IssuedCertificate[];
  readonly size: number;
  /** How many were ever noted: a place in their order, for `after`. */
  readonly noted: number;
}

interface Entry {
  readonly certificate: IssuedCertificate;
  /** Which one in the order of all that were noted, from 1. */
  readonly place: number;
}

/** Keeps up to `capacity` certificates; the one issued longest ago goes first. */
export function makeLedger(capacity: number, now: () => number): Ledger {
  const byHolder = new Map<string, Entry>();
  let noted = 0;
  const isInForce = ({ certificate }: Entry): boolean => certificate.notAfter > now();
  return {
    note: (certificate) => {
      const key = `${certificate.identity} ${certificate.holder}`;
      byHolder.delete(key);
      byHolder.set(key, { certificate, place: ++noted });
      for (const [oldest, entry] of byHolder) {
        if (byHolder.size <= capacity && isInForce(entry)) {
          break;
        }
        byHolder.delete(oldest);
      }
    },
    latest: (identity, holder, after = 0) => {
      const found =
        holder !== undefined
          ? byHolder.get(`${identity} ${holder}`)
          : [...byHolder.values()].findLast((each) => each.certificate.identity === identity && isInForce(each));
      return found !== undefined && found.place > after && isInForce(found) ? found.certificate : undefined;
    },
    list: () =>
      [...byHolder.values()]
        .filter(isInForce)
        .map(({ certificate }) => certificate)
        .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
    get size() {
      return byHolder.size;
    },
    get noted() {
      return noted;
    },
  };
}

function keyOf(certificate: IssuedCertificate): string {
  return `${certificate.identity} ${certificate.holder}`;
}
