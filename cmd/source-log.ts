// Puts into the log how sources are doing: what is out of touch and why, in the server's words, and what came back.
import type { Store } from '../config/store.ts';
import type { Logger } from './log.ts';

/** Milliseconds in which changes are gathered: the kinds of an API server are lost together. */
const gatherMs = 1_000;
/** The same of the same part is not told again within. */
const quietMs = 60_000;
/** Different messages of one source that are told at once. */
const mostMessages = 10;

/** A part that is out of touch; the part's name is empty where a source has none. */
interface Trouble {
  readonly source: string;
  readonly part: string;
  readonly since: number;
  readonly message: string;
}

/** Follows the sources of a store until disposed. `now` in milliseconds. */
export function logSources(
  store: Pick<Store, 'sources' | 'onStatus'>,
  log: Pick<Logger, 'info' | 'warn'>,
  now: () => number,
): Disposable {
  /** What was told and is not over. */
  const open = new Map<string, Trouble>();
  const toldAt = new Map<string, number>();
  const isNews = (key: string, { message }: Trouble): boolean => {
    const words = `${key} ${message}`;
    const isKnown = open.get(key)?.message === message || now() - (toldAt.get(words) ?? -quietMs) < quietMs;
    if (!isKnown) toldAt.set(words, now());
    return !isKnown;
  };
  let timer: NodeJS.Timeout | undefined;
  let later: NodeJS.Timeout | undefined;
  const look = (): void => {
    timer = undefined;
    clearTimeout(later);
    for (const [words, at] of toldAt) if (now() - at >= quietMs) toldAt.delete(words);
    const troubles = new Map(troublesOf(store).map((trouble) => [`${trouble.source} ${trouble.part}`, trouble]));
    const over = [...open].filter(([key]) => !troubles.has(key));
    const news = [...troubles].filter(([key, trouble]) => isNews(key, trouble));
    for (const [key] of over) open.delete(key);
    for (const [key, trouble] of news) open.set(key, trouble);
    for (const source of store.sources().keys()) {
      const mine = (list: readonly (readonly [string, Trouble])[]): readonly Trouble[] =>
        list.map(([, trouble]) => trouble).filter((trouble) => trouble.source === source);
      tellTrouble(log, source, mine(news));
      tellEnd(log, source, mine(over), mine([...troubles]).length, now());
    }
    // What comes again too soon and stays is told in the end.
    if (troubles.size > open.size) later = setTimeout(look, quietMs);
  };
  const unsubscribe = store.onStatus(() => {
    timer ??= setTimeout(look, gatherMs);
  });
  return {
    [Symbol.dispose]() {
      unsubscribe();
      clearTimeout(timer);
      clearTimeout(later);
    },
  };
}

/** Parts that are out of touch and say why: one that is being read for the first time has nothing to say. */
function troublesOf(store: Pick<Store, 'sources'>): readonly Trouble[] {
  return [...store.sources()].flatMap(([source, status]) =>
    Object.entries(status.parts ?? { '': status }).flatMap(([part, { connected, since, message }]) =>
      connected || message === undefined ? [] : [{ source, part, since, message }],
    ),
  );
}

function tellTrouble(log: Pick<Logger, 'warn'>, source: string, troubles: readonly Trouble[]): void {
  const messages = [...new Set(troubles.map(({ message }) => message))];
  for (const message of messages.slice(0, mostMessages)) {
    const parts = namesOf(troubles.filter((trouble) => trouble.message === message));
    log.warn({ source, ...parts }, `out of touch: ${message}`);
  }
  const more = messages.length - mostMessages;
  if (more > 0) log.warn({ source, more }, 'out of touch for more reasons: see meltemi status');
}

function tellEnd(log: Pick<Logger, 'info'>, source: string, over: readonly Trouble[], left: number, now: number): void {
  if (over.length === 0) return;
  const seconds = Math.round((now - Math.min(...over.map(({ since }) => since))) / 1000);
  log.info({ source, ...namesOf(over), seconds, left }, left === 0 ? 'in touch again' : 'in part in touch again');
}

function namesOf(troubles: readonly Trouble[]): { readonly parts?: readonly string[] } {
  const parts = troubles.map(({ part }) => part).filter((part) => part !== '');
  return parts.length === 0 ? {} : { parts };
}
