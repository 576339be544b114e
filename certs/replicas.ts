// Replicas that agree on a rotation's next step: each tells who lags on it, the leader steps when all are ready at once.
import { createHash } from 'node:crypto';
import type { Ledger } from './ledger.ts';
import {
  formatReport,
  isSamePlace,
  type Place,
  parseReport,
  type ReplicaReport,
  reportLimits,
} from './replica-report.ts';
import type { Agreement, OwnReadiness, ReplicaAgreement } from './rotation-driver.ts';
import { type ConnectedAgent, type Holder, holdersOf, isOfStep, readinessOf } from './rotation-readiness.ts';

/** Where each replica's report hangs for all to see. Every call rejects where the place cannot be reached. */
export interface ReplicaBoard {
  /** Reports by replica. */
  read(): Promise<ReadonlyMap<string, string>>;
  /** Writes one replica's report and leaves the others' alone. */
  write(replica: string, report: string): Promise<void>;
  remove(replica: string): Promise<void>;
}

/** What a replica needs to take part. Times in milliseconds. */
export interface ReplicasOptions {
  readonly board: ReplicaBoard;
  /** This replica's own name. */
  readonly name: string;
  /** Whether this one takes the steps. */
  readonly leads: () => boolean;
  /** Whether a replica may still run, however long it is silent: its Pod is there. */
  readonly hasPod: (replica: string) => boolean;
  readonly ledger: Pick<Ledger, 'latest' | 'noted'>;
  /** A replica whose report has not changed for so long is silent. */
  readonly leaseMs: number;
  /** Only differences of it count: the clocks of replicas may differ. */
  readonly monotonic: () => number;
  readonly now: () => number;
  /** A name for a poll that nobody had before. */
  readonly unique: () => string;
}

/** Silent for so many leases, and without a Pod, a replica is gone, and its proxies have come back to another. */
const leasesUntilGone = 5;

/** Milliseconds between two reports: while nothing happens, and while a rotation is under way. */
export function reportInterval(leaseMs: number, isRotating: boolean): number {
  return isRotating ? leaseMs / 6 : leaseMs / 2;
}

interface Sighting {
  readonly text: string;
  readonly report: ReplicaReport | undefined;
  /** When this text was first seen, by our own clock. */
  readonly at: number;
}

export class Replicas implements ReplicaAgreement {
  readonly #options: ReplicasOptions;
  /** The others' reports as seen last. */
  readonly #sightings = new Map<string, Sighting>();
  #readAt = 0;
  #place: Place | undefined;
  /** How many certificates we had issued when all replicas had reached the step; until then nobody knows who issues what. */
  #allArrived: number | undefined;
  #poll: { readonly id: string; readonly at: number } | undefined;
  /** Lagging agents' holders, where to go on asking, and what was asked lately, by digest. */
  #sought: readonly Holder[] = [];
  #cursor = 0;
  #round = 0;
  readonly #asked = new Map<string, string>();
  /** Holders to which another replica gave the certificate of this step. */
  readonly #issuedElsewhere = new Set<string>();

  constructor(options: ReplicasOptions) {
    this.#options = options;
  }

  /**
   * The latest certificate of a holder that this replica issued after all had reached the step. One issued before may
   * since have been replaced by a replica that was late.
   */
  latest(identity: string, holder?: string): ReturnType<Ledger['latest']> {
    return this.#allArrived === undefined ? undefined : this.#options.ledger.latest(identity, holder, this.#allArrived);
  }

  /** Of agents that lag as far as this replica issued, those that lag everywhere; the others are asked about these. */
  seek(lagging: readonly ConnectedAgent[]): readonly ConnectedAgent[] {
    const missing = lagging.filter((agent) => !holdersOf(agent).some((each) => this.#issuedElsewhere.has(keyOf(each))));
    this.#sought = missing.flatMap(holdersOf);
    return missing;
  }

  async agree(place: Place, judge: () => Promise<OwnReadiness>): Promise<Agreement> {
    const { board, name, monotonic, now, leads } = this.#options;
    this.#look(await board.read());
    this.#goTo(place);
    this.#learn();
    if (!leads() || place.step === 'steady') this.#poll = undefined;
    else if (!this.#pollIsCurrent()) this.#poll = { id: this.#options.unique(), at: monotonic() };
    // Looking comes after reading: whoever answers a poll looked at its proxies after the poll was begun.
    const answers = [...this.#sightings.values()].flatMap(({ report }) => report?.poll || []);
    const { ready, laggards } = await judge();
    const report: ReplicaReport = {
      ...place,
      at: new Date(now()).toISOString(),
      ready,
      lagging: laggards.length,
      first: laggards,
      poll: this.#poll?.id ?? '',
      answers,
      asks: place.step === 'steady' ? [] : this.#nextAsks(),
      issued: this.#issuedOfAsks(),
    };
    await board.write(name, formatReport(report));
    if (leads()) await this.#removeGone();
    const poll = this.#poll;
    const waiting = place.step === 'steady' ? [] : this.#waiting();
    const isAnswered = [...this.#sightings.values()].every((each) => each.report?.answers.includes(poll?.id ?? ''));
    const isAgreed = ready && poll !== undefined && isAnswered && waiting.length === 0;
    return { waiting, mayStep: () => isAgreed && leads() && this.#pollIsCurrent() && this.#poll === poll };
  }

  #look(reports: ReadonlyMap<string, string>): void {
    const at = this.#options.monotonic();
    // Who could not read for a while cannot say that others were silent.
    const wasAway = at - this.#readAt > this.#options.leaseMs;
    this.#readAt = at;
    for (const [name, sighting] of this.#sightings) {
      if (!reports.has(name)) this.#sightings.delete(name);
      else if (wasAway) this.#sightings.set(name, { ...sighting, at });
    }
    for (const [name, text] of reports) {
      if (name === this.#options.name || this.#sightings.get(name)?.text === text) continue;
      this.#sightings.set(name, { text, report: parseReport(text), at });
    }
  }

  /** What was learned of one step says nothing about another. */
  #goTo(place: Place): void {
    if (this.#place === undefined || !isSamePlace(this.#place, place)) {
      this.#place = place;
      this.#allArrived = undefined;
      this.#poll = undefined;
      this.#sought = [];
      this.#asked.clear();
      this.#issuedElsewhere.clear();
    }
    const haveAllArrived = [...this.#sightings.values()].every((each) => this.#isHere(each.report));
    this.#allArrived = haveAllArrived ? (this.#allArrived ?? this.#options.ledger.noted) : undefined;
  }

  #isHere(report: ReplicaReport | undefined): report is ReplicaReport {
    return report !== undefined && this.#place !== undefined && isSamePlace(report, this.#place);
  }

  #learn(): void {
    for (const { report } of this.#sightings.values()) {
      if (!this.#isHere(report)) continue;
      for (const digest of report.issued) {
        const key = this.#asked.get(digest);
        if (key !== undefined) this.#issuedElsewhere.add(key);
      }
    }
  }

  /** The next few of those sought, each shown twice, so that others who report at the same pace see it. */
  #nextAsks(): readonly Holder[] {
    if (this.#sightings.size === 0 || this.#sought.length === 0) return [];
    this.#cursor = (this.#cursor + (this.#round++ % 2 === 0 ? reportLimits.asks : 0)) % this.#sought.length;
    const asks = [...this.#sought.slice(this.#cursor), ...this.#sought.slice(0, this.#cursor)].slice(
      0,
      reportLimits.asks,
    );
    for (const each of asks) {
      const digest = digestOf(each);
      // Those asked about last stand last, and the answer takes no more than a few reports.
      this.#asked.delete(digest);
      this.#asked.set(digest, keyOf(each));
    }
    for (const oldest of this.#asked.keys()) {
      if (this.#asked.size <= 10 * reportLimits.asks) break;
      this.#asked.delete(oldest);
    }
    return asks;
  }

  #issuedOfAsks(): readonly string[] {
    const place = this.#place;
    if (place === undefined || place.step === 'steady') return [];
    const asks = [...this.#sightings.values()].flatMap(({ report }) => (this.#isHere(report) ? report.asks : []));
    const readiness = readinessOf(place);
    return asks
      .filter(({ identity, holder }) => isOfStep(this.latest(identity, holder), readiness))
      .map(digestOf)
      .slice(0, reportLimits.issued);
  }

  /** Who keeps the rotation here, besides our own proxies. */
  #waiting(): readonly string[] {
    return [...this.#sightings].flatMap(([name, { report, at }]) => {
      const why =
        this.#options.monotonic() - at >= this.#options.leaseMs
          ? 'does not report'
          : report === undefined
            ? 'reports what cannot be read'
            : !this.#isHere(report)
              ? 'is not at this step yet'
              : report.lagging > 0
                ? `waits for ${report.lagging} of its proxies: ${report.first.join(', ')}`
                : report.ready
                  ? undefined
                  : 'gives its proxies time to come back';
      return why === undefined ? [] : [`replica ${name} ${why}`];
    });
  }

  async #removeGone(): Promise<void> {
    const { board, hasPod, leaseMs, monotonic } = this.#options;
    for (const [name, { at }] of this.#sightings) {
      if (monotonic() - at < leasesUntilGone * leaseMs || hasPod(name)) continue;
      await board.remove(name);
      this.#sightings.delete(name);
    }
  }

  #pollIsCurrent(): boolean {
    const { monotonic, leaseMs } = this.#options;
    return this.#poll !== undefined && monotonic() - this.#poll.at < 3 * reportInterval(leaseMs, true);
  }
}

function keyOf({ identity, holder }: Holder): string {
  return `${identity} ${holder}`;
}

/** A holder in few characters. */
function digestOf(holder: Holder): string {
  return createHash('sha256').update(keyOf(holder)).digest('base64url').slice(0, 16);
}
