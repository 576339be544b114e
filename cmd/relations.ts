// Objects among each other in a control plane: what each is judged among, and the findings that come of it.
import type { KindName } from '../config/kinds/kinds.ts';
import { type ObjectView, type Surroundings, surroundingsOf } from '../config/relations/view.ts';
import type { Store } from '../config/store.ts';
import type { Graph } from '../discovery/graph/graph.ts';
import { isCounted } from '../discovery/model/object-collection.ts';
import { facts, mesh, meshConfigMapKey } from '../discovery/model/objects.ts';
import { RelationFindings } from './relation-findings.ts';
import { rest } from './rest.ts';

/** Objects among each other; their findings are reported until it is disposed. */
export interface Relations extends AsyncDisposable {
  /** What objects are judged among, as it is now. */
  readonly surroundings: () => Surroundings;
}

/** Has the store hold what is found of objects among each other. `published` resolves when the graph holds what it holds. */
export function keepRelations(store: Store, graph: Graph, published: () => Promise<void>): Relations {
  const { domain, ...others } = graph.read(facts, 'facts');
  const counts = (kind: KindName, namespace: string): boolean => isCounted(graph.read, kind, namespace);
  const objects = countedObjects(store, counts);
  const surroundings = () => surroundingsOf(objects, graph.read(mesh, 'mesh'), domain);
  const findings = new RelationFindings({
    ...{ store, surroundings, published, sleep: rest },
    isCounted: counts,
    meshConfigMap: meshConfigMapKey(others),
    report: store.sinkOf('relations').report,
  });
  return { surroundings, [Symbol.asyncDispose]: () => findings[Symbol.asyncDispose]() };
}

/** A view in which objects of namespaces that do not count are not there, as the model sees them. */
function countedObjects(objects: ObjectView, counts: (kind: KindName, namespace: string) => boolean): ObjectView {
  return {
    get: (kind, key) => {
      const object = objects.get(kind, key);
      return object !== undefined && counts(kind, object.metadata.namespace) ? object : undefined;
    },
    list: (kind) => objects.list(kind).filter(({ metadata }) => counts(kind, metadata.namespace)),
  };
}
