// The place where replicas report to each other, in memory.
import type { ReplicaBoard } from '../../certs/replicas.ts';

/** A board that counts what is done to it, and refuses everything while it is down. */
export class MemoryBoard implements ReplicaBoard {
  readonly reports = new Map<string, string>();
  down = false;
  reads = 0;
  /** Changes, removals included. */
  writes = 0;

  async read(): Promise<ReadonlyMap<string, string>> {
    this.#assertUp();
    this.reads++;
    return new Map(this.reports);
  }

  async write(replica: string, report: string): Promise<void> {
    this.#assertUp();
    this.writes++;
    this.reports.set(replica, report);
  }

  async remove(replica: string): Promise<void> {
    this.#assertUp();
    this.writes++;
    this.reports.delete(replica);
  }

  #assertUp(): void {
    if (this.down) throw new Error('away');
  }
}
