// What the translation of a VirtualService's routes needs to know of its client, whichever flavour that is.
import type { Destination, HttpRetry } from '../../../../config/kinds/virtual-service.ts';
import type { RouteAction_HashPolicy } from '../../../../protos/gen/envoy/config/route/v3/route_components_pb.js';

/** The client and listener for which routes are made. */
export interface RouteContext {
  /** Port that clients address: matches on other ports fall away, redirects may repeat it. */
  readonly port: number;
  readonly tls: boolean;
  /** `mesh` for sidecars, else the gateways (`namespace/name`) that serve these hosts. */
  readonly gateways: readonly string[];
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Port of a destination that names none: the only one of its service, else the listener's. */
  readonly destinationPort: (host: string) => number;
  /** Hash policies by which a destination's load is balanced. */
  readonly hashPolicies: (destination: Destination) => RouteAction_HashPolicy[];
  /** The mesh's default for routes without retries. */
  readonly defaultRetries: HttpRetry | undefined;
  /** Clients without a router of Envoy's (gRPC) bound whole streams instead of giving timeouts. */
  readonly streamTimeouts: boolean;
}
