// What every new stream passes before its first message is read: readiness, number, pace, and who it is.
import { setTimeout as wait } from 'node:timers/promises';
import type { Admission } from './admission.ts';
import type { Authenticate, Caller, CallerFacts } from './caller.ts';
import type { StreamStatus } from './transport.ts';

/** What the gate asks. */
export interface GateOptions {
  /** Whether the first configuration is complete; before that nobody may be served (contract 1.1). */
  readonly ready: () => boolean;
  readonly admission: Admission;
  readonly authenticate: Authenticate;
  /** Streams open now. */
  readonly open: () => number;
  readonly maxStreams: number;
  /** How long authentication may take, in milliseconds. */
  readonly authenticationMs: number;
  readonly now: () => number;
}

/** Let in, or why not. */
export type Entry = { readonly caller: Caller } | { readonly status: StreamStatus; readonly message: string };

/** Decides about one stream. Never rejects. */
export async function enter(facts: CallerFacts, gate: GateOptions): Promise<Entry> {
  if (!gate.ready()) return { status: 'UNAVAILABLE', message: 'the server is not ready yet' };
  if (gate.open() >= gate.maxStreams) return { status: 'RESOURCE_EXHAUSTED', message: 'too many streams are open' };
  const delay = gate.admission.admit(gate.now());
  if (delay === undefined) {
    return { status: 'RESOURCE_EXHAUSTED', message: 'too many streams are being opened; try again' };
  }
  if (delay > 0) await wait(delay);
  const caller = await authenticateInTime(facts, gate);
  if (caller.kind === 'refused') return { status: 'UNAUTHENTICATED', message: caller.reason };
  return { caller };
}

async function authenticateInTime(facts: CallerFacts, gate: GateOptions): Promise<Caller> {
  const stop = new AbortController();
  const late: Promise<Caller> = wait(gate.authenticationMs, undefined, { signal: stop.signal, ref: false }).then(
    () => ({ kind: 'refused', reason: 'authentication took too long' }),
    () => ({ kind: 'refused', reason: 'authentication was given up' }),
  );
  try {
    return await Promise.race([gate.authenticate(facts), late]);
  } catch {
    return { kind: 'refused', reason: 'authentication failed' };
  } finally {
    stop.abort();
  }
}
