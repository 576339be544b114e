// Who may see which debug page (contract 2.1).
import type { Identity } from '../xds/caller.ts';

/** Who asks: somebody on this machine, an identified caller, or nobody known. */
export type DebugCaller =
  | { readonly kind: 'local' }
  | { readonly kind: 'identified'; readonly identity: Identity }
  | { readonly kind: 'unknown' };

/** What a caller may see of a page. `namespace`: only proxies of that namespace. */
export type DebugAccess =
  | { readonly kind: 'all' }
  | { readonly kind: 'namespace'; readonly namespace: string }
  | { readonly kind: 'unauthenticated' }
  | { readonly kind: 'denied' };

/** Pages about one proxy, which callers of other namespaces may ask about their own. */
const ownPages: ReadonlySet<string> = new Set(['config_dump', 'ndsz', 'edsz']);

/** Decides. `systemNamespaces` are the root namespace and those the operator allowed. */
export function accessOf(caller: DebugCaller, page: string, systemNamespaces: ReadonlySet<string>): DebugAccess {
  if (caller.kind === 'local') return { kind: 'all' };
  if (caller.kind === 'unknown') return { kind: 'unauthenticated' };
  const { namespace } = caller.identity;
  if (systemNamespaces.has(namespace)) return { kind: 'all' };
  return ownPages.has(page) ? { kind: 'namespace', namespace } : { kind: 'denied' };
}
