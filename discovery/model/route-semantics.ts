// How a VirtualService's prefixes are read: Istio's own way, or that of the API that it was made of.
import type { ObjectMeta } from '../../config/object.ts';

/** How prefixes are read: `istio` as plain text, `separated` only at path segments (Gateway API and Ingress). */
export type PathSemantics = 'istio' | 'separated';

/** The annotation of VirtualServices that were made of another API: `ingress` or `gateway`. */
export const routeSemantics = 'internal.istio.io/route-semantics';

/** How the prefixes of a VirtualService are read. */
export function pathSemanticsOf({ annotations }: ObjectMeta): PathSemantics {
  const made = annotations?.[routeSemantics];
  return made === 'ingress' || made === 'gateway' ? 'separated' : 'istio';
}
