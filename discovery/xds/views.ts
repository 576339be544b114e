// All views, and the work of bringing them up to date after a change: only what the graph marked is looked at.
import type { CellRef, Graph } from '../graph/graph.ts';
import type { ProxyClass } from '../proxy/proxy-class.ts';
import type { ErasedTranslator, NamedRequest, TranslatorTable } from '../translate/translator.ts';
import { pushOrder, type ResourceType } from '../xds-types.ts';
import { type Slot, Slots } from './slots.ts';
import type { Slicer } from './turns.ts';
import { rankOf } from './type-rules.ts';
import { View, type ViewDeps } from './view.ts';

/** Views by the cell of their directory; slots by their cells. */
export class Views {
  readonly #translators: TranslatorTable;
  // By directory and then by class: joining the two to one text, and hashing it, costs more than all else of a change.
  readonly #views = new Map<string, Map<string, View>>();
  readonly #slots: Slots<View>;
  readonly #finders = new Map<string, ErasedTranslator>();
  readonly #deps: ViewDeps;

  constructor(graph: Graph, translators: TranslatorTable, onError: (error: unknown, what: string) => void) {
    this.#translators = translators;
    this.#slots = new Slots(graph, onError);
    this.#deps = { graph, slots: this.#slots, onError, changed: new Set(), failing: new Set() };
    for (const table of Object.values(translators)) {
      for (const translator of Object.values(table)) {
        if (translator === 'not served') continue;
        this.#views.set(translator.directory.name, new Map());
        this.#finders.set(translator.found.name, translator);
      }
    }
  }

  /** The view of a class on a type; undefined where its flavour does not serve the type. */
  open(client: ProxyClass, type: ResourceType): View | undefined {
    const translator = this.#translators[client.flavour][type];
    if (translator === 'not served') return undefined;
    const known = this.#find(translator, client);
    if (known !== undefined) return known;
    const view = new View(this.#deps, translator, client);
    this.#views.get(translator.directory.name)?.set(translator.directory.idOf(client), view);
    return view;
  }

  /** Reads what was marked, types in push order. Afterwards each view knows what changed in it. */
  async refresh(marked: readonly CellRef[], slicer: Slicer): Promise<void> {
    const { directories, found, slots } = this.#sort(marked);
    for (const type of pushOrder) {
      for (const view of directories.get(type) ?? []) await view.refreshDirectory(slicer);
      for (const [view, name] of found.get(type) ?? []) {
        view.refreshFound(name);
        if (slicer.due()) await slicer.rest();
      }
      for (const slot of slots.get(type) ?? []) {
        this.#refreshSlot(slot);
        if (slicer.due()) await slicer.rest();
      }
    }
  }

  /** Hands the changes of the last refresh to the viewers, types in push order. */
  deliver(): void {
    const { changed } = this.#deps;
    for (const view of inOrder(changed)) view.deliver();
    changed.clear();
  }

  /** Lets go of views at which nobody has looked since `before`. */
  sweep(before: number): void {
    for (const views of this.#views.values()) {
      for (const [id, view] of views) {
        if (view.idleSince > before) continue;
        if (view.viewers.size > 0) {
          view.prune();
          continue;
        }
        view.close();
        views.delete(id);
        this.#deps.changed.delete(view);
        this.#deps.failing.delete(view);
      }
    }
  }

  /** Lets go of what streams that began a moment ago had in common. */
  forgetShared(): void {
    for (const views of this.#views.values()) for (const view of views.values()) view.sharing.forget();
  }

  /** Every view, types in push order. */
  all(): readonly View[] {
    return inOrder([...this.#views.values()].flatMap((views) => [...views.values()]));
  }

  /** Distinct resources held. */
  get resources(): number {
    return this.#slots.size;
  }

  #refreshSlot(slot: Slot<View>): void {
    const before = slot.resource;
    if (!this.#slots.read(slot)) return;
    for (const view of slot.watchers) view.noteChange(slot.name, before);
  }

  #find({ directory }: ErasedTranslator, client: ProxyClass): View | undefined {
    return this.#views.get(directory.name)?.get(directory.idOf(client));
  }

  #sort(marked: readonly CellRef[]): Sorted {
    const sorted: Sorted = { directories: new Map(), found: new Map(), slots: new Map() };
    const { failing } = this.#deps;
    for (const view of failing) {
      if (!view.failed && view.failedNames.size === 0) failing.delete(view);
      if (view.failed) push(sorted.directories, view.type, view);
      for (const name of view.failedNames) push(sorted.found, view.type, [view, name] as const);
    }
    for (const slot of this.#slots.failed) push(sorted.slots, typeOfSlot(slot), slot);
    for (const { node, id, key } of marked) {
      const views = this.#views.get(node);
      const finder = this.#finders.get(node);
      if (views !== undefined) {
        const view = views.get(id);
        if (view !== undefined && !view.failed) push(sorted.directories, view.type, view);
      } else if (finder !== undefined) {
        const { client, name } = key as NamedRequest;
        const view = this.#find(finder, client);
        if (view !== undefined) push(sorted.found, view.type, [view, name] as const);
      } else {
        const slot = this.#slots.byCell(node, id);
        if (slot !== undefined && !this.#slots.failed.has(slot)) push(sorted.slots, typeOfSlot(slot), slot);
      }
    }
    return sorted;
  }
}

interface Sorted {
  readonly directories: Map<ResourceType, View[]>;
  readonly found: Map<ResourceType, (readonly [View, string])[]>;
  readonly slots: Map<ResourceType, Slot<View>[]>;
}

function inOrder(views: Iterable<View>): readonly View[] {
  return [...views].sort((a, b) => rankOf(a.type) - rankOf(b.type));
}

function typeOfSlot(slot: Slot<View>): ResourceType {
  return slot.watchers[0]?.type ?? 'cluster';
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
