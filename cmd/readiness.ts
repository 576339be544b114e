// Why proxies may not be served yet: what has not been read, in the server's words.
import { troubleOf } from '../config/sources/source.ts';
import type { Store } from '../config/store.ts';

/** What /ready says, and by which streams are let in: true once every source was read, and from then on. */
export function readinessOf(store: Pick<Store, 'synced' | 'sources'>): {
  readonly ready: boolean;
  readonly reason: string;
} {
  if (store.synced) return { ready: true, reason: '' };
  const unread = [...store.sources()].filter(([, { synced }]) => !synced);
  const details = unread.map(([name, status]) => {
    const parts = Object.entries(status.parts ?? {}).filter(([, part]) => !part.synced);
    const trouble = parts.length === 0 ? (status.message ?? '') : troubleOf(Object.fromEntries(parts));
    return trouble === '' ? name : `${name}: ${trouble}`;
  });
  return { ready: false, reason: ['configuration has not been read yet', ...details].join(': ') };
}
