// Collection of what each Service and ServiceEntry defines.

import type { Service as KubernetesService } from '../../config/kinds/service.ts';
import type { ServiceEntry } from '../../config/kinds/service-entry.ts';
import { keyOf } from '../../config/object.ts';
import { annotatedDistribution, type TrafficDistribution } from '../../config/rules/traffic-distribution.ts';
import { index } from '../graph/collect.ts';
import { query, type Read } from '../graph/graph.ts';
import { defaultExportTo } from './export.ts';
import { nodeAddresses } from './node-addresses.ts';
import { objectCollection } from './object-collection.ts';
import { facts, objects } from './objects.ts';
import type { Service } from './service.ts';
import { type DefinitionContext, ofKubernetesService, ofServiceEntry } from './service-definition.ts';

/** One item for each object and host, keyed `Kind|namespace/name|host`. */
export const serviceDefinitions = objectCollection<'Service' | 'ServiceEntry', Service>(
  'service-definitions',
  ['Service', 'ServiceEntry'],
  (read, _key, object) => {
    const context = contextOf(read, object.metadata.namespace);
    const defined =
      object.kind === 'Service' ? [ofKubernetesService(object, context)] : ofServiceEntry(object, context);
    return new Map(defined.map((item) => [definitionKey(object, item.hostname), item]));
  },
);

/** Keys of what an object defines, by `Kind|namespace/name`. */
export const definitionsByObject = index('definitions-by-object', serviceDefinitions, ({ source }) => [
  `${source.kind}|${source.namespace}/${source.name}`,
]);

function definitionKey(object: KubernetesService | ServiceEntry, hostname: string): string {
  return `${object.kind}|${keyOf(object.metadata)}|${hostname}`;
}

const namespaceDistribution = query('namespace-distribution', (read, namespace: string): TrafficDistribution => {
  const object = read(objects.Namespace, `/${namespace}`);
  return (object === undefined ? undefined : annotatedDistribution(object.metadata)) ?? 'any';
});

function contextOf(read: Read, namespace: string): DefinitionContext {
  const { domain, features } = read(facts, 'facts');
  return {
    domain,
    defaultExportTo: read(defaultExportTo, 'service'),
    externalNameAlias: features.ENABLE_EXTERNAL_NAME_ALIAS !== 'false',
    distribution: read(namespaceDistribution, namespace),
    nodeAddresses: (labels) => nodeAddresses(read, labels),
  };
}
