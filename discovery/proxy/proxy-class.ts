// Proxy classes: everything that can make two proxies' configuration differ, and nothing else.

import type { Locality } from '../model/locality.ts';
import type { ServiceTarget } from '../model/service-target.ts';
import type { Capabilities } from './capabilities.ts';
import type { Flavour, Interception, ProxySettings } from './proxy.ts';

/**
 * What translation knows of a proxy. Proxies that are equal here get equal bytes. Each property is a facet: a
 * translator names the facets it depends on and receives only those.
 */
export interface ProxyClass {
  readonly flavour: Flavour;
  readonly capabilities: Capabilities;
  /** Namespace that decides visibility and policy scope. */
  readonly namespace: string;
  readonly dnsDomain: string;
  /** Only labels that some selector in the snapshot mentions. */
  readonly labels: Readonly<Record<string, string>>;
  readonly cluster: string;
  readonly network: string;
  readonly locality: Locality;
  /** Set only where some service routes to its own node. */
  readonly nodeName: string;
  readonly interception: Interception;
  /** Address families in which it can be reached; decides wildcard binds and address choice. */
  readonly ipFamily: 'v4' | 'v6' | 'dual';
  /** Key of the Sidecar that applies, `ns/name`, or empty for the default scope. */
  readonly scope: string;
  /** Ports of the services it serves, for inbound: sorted. */
  readonly targets: readonly ServiceTarget[];
  readonly settings: ProxySettings;
  /** What traces say of its workload: name, revision and namespace; absent while the mesh does not trace. */
  readonly canonical?: { readonly service: string; readonly revision: string; readonly namespace: string };
  /** The proxy's own addresses: only for what binds or excludes them (a facet that few may take). */
  readonly addresses: readonly string[];
}

/** A property of a proxy class. */
export type Facet = keyof ProxyClass;

/** The part of a class that a translator declared. */
export type Facets<F extends Facet> = Readonly<Pick<ProxyClass, F>>;

/** Cuts a class down to the declared facets. */
export function pickFacets<const F extends Facet>(proxyClass: Facets<F>, facets: readonly F[]): Facets<F> {
  const picked: Partial<Record<Facet, unknown>> = {};
  for (const facet of facets) picked[facet] = proxyClass[facet];
  return picked as Facets<F>;
}

/**
 * Text of facets (or a whole class): equal text, equal facets. Equal facets have equal text, too, because `classify`
 * writes every object in one order; otherwise two proxies would only have less in common.
 */
export function facetsId(facets: Partial<ProxyClass>): string {
  return JSON.stringify(facets);
}
