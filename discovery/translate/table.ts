// Flavour by resource type: who translates what. Complete by type.
import { sidecarRoutes } from './envoy/sidecar-routes.ts';
import type { FlavourTable, TranslatorTable } from './translator.ts';

const nothing: FlavourTable = {
  cluster: 'not served',
  endpoint: 'not served',
  listener: 'not served',
  route: 'not served',
  secret: 'not served',
  nameTable: 'not served',
};

/** All translators. */
export const translators: TranslatorTable = { sidecar: { ...nothing, route: sidecarRoutes }, gateway: nothing, grpc: nothing };
