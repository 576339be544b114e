// The log: JSON lines by pino, with what must never be logged redacted.
import pino, { type Logger } from 'pino';

export type { Logger } from 'pino';

const redacted = [
  'authorization',
  'token',
  'privateKey',
  'key',
  '*.authorization',
  '*.token',
  '*.privateKey',
  'headers.authorization',
];

/** A logger; `destination` is a file path, or standard error where absent. */
export function createLogger(level: string, destination?: string): Logger {
  const options = { level, redact: redacted, base: {}, timestamp: pino.stdTimeFunctions.isoTime };
  return pino(
    options,
    pino.destination(
      destination === undefined ? { fd: 2, sync: true } : { dest: destination, mkdir: true, sync: false },
    ),
  );
}
