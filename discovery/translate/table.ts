// Flavour by resource type: who translates what. Complete by type.
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
export const translators: TranslatorTable = { sidecar: nothing, gateway: nothing, grpc: nothing };
