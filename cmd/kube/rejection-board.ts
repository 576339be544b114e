// What proxies of all replicas reject: each replica hangs up a report while it knows of rejections, the leader reads them all.
import type { ReplicaBoard } from '../../certs/replicas.ts';
import { compareText } from '../../config/object.ts';
import type { RejectionReport } from './rejected-resources.ts';
import { formatRejections, parseRejections, roomFor } from './rejection-report.ts';

/** What a replica needs to take part. Times in milliseconds. */
export interface RejectionBoardOptions {
  readonly board: ReplicaBoard;
  /** This replica's own name. */
  readonly name: string;
  /** What proxies of this replica reject, as it is now. */
  readonly own: () => RejectionReport;
  /** A replica whose report has not been renewed for so long is taken to be gone, and its proxies to be elsewhere. */
  readonly leaseMs: number;
  /** Only differences of it count: the clocks of replicas may differ. */
  readonly monotonic: () => number;
  /** Milliseconds since the epoch, for people, and to make each report differ from the last. */
  readonly now: () => number;
  /** Between 0 and 1, so that replicas do not act in step. */
  readonly random: () => number;
  /** Resolves early, without error, when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly count: (outcome: 'written' | 'failed') => void;
  readonly log: (message: string) => void;
}

interface Sighting {
  readonly text: string;
  readonly report: RejectionReport | undefined;
  /** When this text was first seen, by our own clock. */
  readonly at: number;
}

/** Rounds a lease: so often is looked, and so often a report that stays the same is written again. */
const looksPerLease = 10;
const renewalsPerLease = 3;

/**
 * Reports until disposed. Where no proxy rejects anything nobody writes, and only the leader reads. A replica that ends
 * leaves its report, which counts for a lease longer: by then its proxies have come to another.
 */
export class RejectionBoard implements AsyncDisposable {
  readonly #options: RejectionBoardOptions;
  readonly #running: Promise<void>;
  #ended = false;
  #leads = false;
  #pause = new AbortController();
  /** Those that wait for a round that is yet to begin. */
  readonly #waiting: (() => void)[] = [];
  /** The others' reports as seen last, in the order of names. */
  #sightings: ReadonlyMap<string, Sighting> = new Map();
  #readAt = Number.NEGATIVE_INFINITY;
  /** Our own report as we wrote it last, without and with its time; what hangs there at first is of one before us. */
  #told: { readonly body: string; readonly text: string; readonly at: number } | undefined;
  #hangs = true;
  #failure = '';

  constructor(options: RejectionBoardOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Told by the election. Resolves when a new leader has read the others' reports, or could not. */
  lead(leading: boolean): Promise<void> {
    this.#leads = leading;
    // What was seen some time ago may not hold any more.
    this.#sightings = new Map();
    if (!leading) return Promise.resolve();
    this.#pause.abort();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** What all replicas know, this one as of now and the others as read last, in the order of their names. */
  reports(): readonly RejectionReport[] {
    const all = [...this.#heard(), [this.#options.name, this.#options.own()] as const];
    return all.sort(([a], [b]) => compareText(a, b)).map(([, report]) => report);
  }

  /** How many other replicas have rejections that count; undefined where this one does not lead. */
  get heard(): number | undefined {
    return this.#leads ? this.#heard().length : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    this.#pause.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { leaseMs, random, sleep } = this.#options;
    while (!this.#ended) {
      this.#pause = new AbortController();
      const waiting = this.#waiting.splice(0);
      await this.#round();
      for (const done of waiting) done();
      if (this.#ended) return;
      await sleep((leaseMs / looksPerLease) * (0.8 + 0.4 * random()), this.#pause.signal);
    }
  }

  async #round(): Promise<void> {
    const { board, own, count, log } = this.#options;
    try {
      const report = own();
      if (report.resources.length === 0 && !this.#hangs && !this.#leads) return;
      const reports = await board.read();
      this.#look(reports);
      await this.#tell(report, reports);
      if (this.#leads) await this.#removeGone();
      this.#failure = '';
    } catch (error) {
      count('failed');
      const message = error instanceof Error ? error.message : String(error);
      if (message !== this.#failure) log(`rejections cannot be shared with other replicas: ${message}`);
      this.#failure = message;
    }
  }

  #look(reports: ReadonlyMap<string, string>): void {
    const { leaseMs, monotonic, name } = this.#options;
    const at = monotonic();
    // Who could not read for a while, or had no need to, cannot say that others were silent.
    const wasAway = at - this.#readAt > leaseMs / 2;
    this.#readAt = at;
    const others = [...reports].filter(([replica]) => replica !== name).sort(([a], [b]) => compareText(a, b));
    this.#sightings = new Map(
      others.map(([replica, text]) => {
        const known = this.#sightings.get(replica);
        if (known?.text !== text) return [replica, { text, report: parseRejections(bodyOf(text)), at }];
        return [replica, wasAway ? { ...known, at } : known];
      }),
    );
  }

  /** Writes our report where it says something new, is due to be renewed, or was taken away. */
  async #tell(report: RejectionReport, reports: ReadonlyMap<string, string>): Promise<void> {
    const { board, count, leaseMs, monotonic, name, now } = this.#options;
    const hanging = reports.get(name);
    const body = formatRejections(report, roomFor(reports.size + (hanging === undefined ? 1 : 0)));
    if (body === undefined) {
      if (hanging !== undefined) {
        await board.remove(name);
        count('written');
      }
      this.#told = undefined;
      this.#hangs = false;
      return;
    }
    const told = this.#told;
    const isRecent = told !== undefined && monotonic() - told.at < leaseMs / renewalsPerLease;
    if (isRecent && told.body === body && told.text === hanging) return;
    const text = `${new Date(now()).toISOString()} ${body}`;
    this.#hangs = true;
    await board.write(name, text);
    count('written');
    this.#told = { body, text, at: monotonic() };
  }

  async #removeGone(): Promise<void> {
    for (const [replica, sighting] of this.#sightings) {
      if (!this.#isGone(sighting)) continue;
      await this.#options.board.remove(replica);
      this.#options.count('written');
    }
  }

  #heard(): readonly (readonly [string, RejectionReport])[] {
    return [...this.#sightings].flatMap(([replica, sighting]) =>
      sighting.report === undefined || this.#isGone(sighting) ? [] : [[replica, sighting.report] as const],
    );
  }

  /** As of the last reading: nobody goes while the place cannot be read. */
  #isGone({ at }: Sighting): boolean {
    return this.#readAt - at >= this.#options.leaseMs;
  }
}

function bodyOf(text: string): string {
  return text.slice(text.indexOf(' ') + 1);
}
