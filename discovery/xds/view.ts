// The resources of one type as all proxies that are equal in the type's facets see them.
import { compareText } from '../../config/object.ts';
import type { Graph } from '../graph/graph.ts';
import type { ProxyClass } from '../proxy/proxy-class.ts';
import type { EncodedResource } from '../resource.ts';
import { changedNames } from '../translate/layered-directory.ts';
import type { Directory, ErasedTranslator, ResourceRef } from '../translate/translator.ts';
import type { ResourceType } from '../xds-types.ts';
import { Sharing } from './sharing.ts';
import type { Slot, Slots } from './slots.ts';
import { type Have, noNames, nothing, type Subscription } from './subscription.ts';
import type { Slicer } from './turns.ts';

/** A stream's end of a view. */
export interface Viewer {
  readonly sub: Subscription;
  /** Called once a publish with what changed; the maps are shared and must not be changed. */
  changed(changes: Changes): void;
}

/** What a publish changed in a view, by name, with what was there before. */
export interface Changes {
  /** Names that are or were in the directory. */
  readonly listed: Map<string, Have>;
  /** Names that only some clients asked for. */
  readonly asked: Map<string, Have>;
}

/** Everything a view needs of the server. */
export interface ViewDeps {
  readonly graph: Graph;
  readonly slots: Slots<View>;
  readonly onError: (error: unknown, what: string) => void;
  /** Views with something to deliver. */
  readonly changed: Set<View>;
  /** Views with something that could not be computed and is to be tried again. */
  readonly failing: Set<View>;
}

/** Holds only what is wanted: the whole directory where somebody subscribes to everything, else the names asked for. */
export class View {
  readonly type: ResourceType;
  readonly client: ProxyClass;
  readonly viewers = new Set<Viewer>();
  readonly sharing = new Sharing();
  directory: Directory = new Map();
  /** Time since when nobody has been looking; means nothing while somebody looks. */
  idleSince = 0;
  /** Its directory could not be computed and is tried again. */
  failed = false;
  readonly #translator: ErasedTranslator;
  readonly #deps: ViewDeps;
  // Most views are wanted as a whole and have none of these: they are made where they are first needed.
  /** Wanted names with their slots, but for those that `#covers` takes in. */
  #entries: Map<string, Slot<View> | undefined> | undefined = undefined;
  #counts: Map<string, number> | undefined = undefined;
  #found: Set<string> | undefined = undefined;
  #failedNames: Set<string> | undefined = undefined;
  #directoryReads = 0;
  #complete = 0;
  /** Every name of the directory is watched: which slots these are, the directory tells. */
  #covers = false;
  #overfull = false;
  #changes: Changes | undefined = undefined;

  constructor(deps: ViewDeps, translator: ErasedTranslator, client: ProxyClass) {
    this.#deps = deps;
    this.#translator = translator;
    this.type = translator.type;
    this.client = client;
    deps.graph.hold(translator.directory, client);
    this.#readDirectory();
  }

  /** Names that could not be looked up, and are tried again. */
  get failedNames(): ReadonlySet<string> {
    return this.#failedNames ?? noNames;
  }

  /** The resource under a wanted name. */
  get(name: string): EncodedResource | undefined {
    return this.#slotOf(name)?.resource;
  }

  /** Whether a wanted name's resource could not be computed even once, so that nobody knows whether it exists. */
  isUnknown(name: string): boolean {
    if (this.failed && this.#directoryReads === 0) return true;
    const slot = this.#slotOf(name);
    if (slot === undefined) return this.failedNames.has(name);
    return slot.resource === undefined && this.#deps.slots.failed.has(slot);
  }

  /** Whether the directory could be computed, if only some time ago. */
  get known(): boolean {
    return this.#directoryReads > 0;
  }

  /** The cell of a wanted name, to ask the graph why it is so. */
  refOf(name: string): ResourceRef | undefined {
    return this.#slotOf(name)?.ref;
  }

  /** A wanted name as the text that all who want it share: each request brings texts of its own. */
  sharedText(name: string): string {
    return this.#slotOf(name)?.name ?? name;
  }

  /** Wanted names. */
  get size(): number {
    return (this.#entries?.size ?? 0) + (this.#covers ? this.directory.size : 0);
  }

  /** Starts looking. */
  join(viewer: Viewer): void {
    this.viewers.add(viewer);
  }

  /**
   * Stops looking and takes back what was wanted. After the last one everything is kept up to date for a while, so
   * that a proxy which comes back finds it ready.
   */
  leave(viewer: Viewer, now: number): void {
    const { sub } = viewer;
    if (!this.viewers.delete(viewer)) return;
    if (this.viewers.size === 0) {
      this.idleSince = now;
      this.#counts = undefined;
      this.#complete = 0;
      this.#overfull = true;
      return;
    }
    this.unwant(sub.names);
    if (sub.wildcard) this.unwantAll();
  }

  /** Lets go of what nobody has wanted since the view was last deserted. */
  prune(): void {
    if (!this.#overfull) return;
    this.#overfull = false;
    if (this.#complete === 0) this.#uncover();
    for (const name of [...(this.#entries?.keys() ?? [])]) this.#forgetUnwanted(name);
  }

  /** Wants every listed resource, once for each call. */
  async wantAll(slicer: Slicer): Promise<void> {
    if (this.#complete++ > 0 || this.#covers) return;
    this.#covers = true;
    // While nobody wanted them, they may have changed unnoticed.
    this.sharing.dropPlans();
    for (const [name, ref] of this.directory) {
      if (this.#entries?.delete(name) !== true) this.#deps.slots.acquire(ref, this, name);
      if (slicer.due()) await slicer.rest();
    }
  }

  /** Takes one `wantAll` back. */
  unwantAll(): void {
    if (--this.#complete === 0) this.#uncover();
  }

  /** Wants resources by name, once for each call and name. */
  async want(names: Iterable<string>, slicer: Slicer): Promise<void> {
    for (const name of names) {
      const slot = this.#holds(name) ? undefined : this.#resolve(name);
      this.#counts ??= new Map();
      this.#counts.set(slot?.name ?? name, (this.#counts.get(name) ?? 0) + 1);
      if (slicer.due()) await slicer.rest();
    }
  }

  /** Takes `want` back. */
  unwant(names: Iterable<string>): void {
    for (const name of names) {
      const count = (this.#counts?.get(name) ?? 0) - 1;
      if (count > 0) this.#counts?.set(name, count);
      else {
        this.#counts?.delete(name);
        this.#forgetUnwanted(name);
      }
    }
  }

  /** Reads the directory anew after it was marked. */
  async refreshDirectory(slicer: Slicer): Promise<void> {
    const before = this.directory;
    if (!this.#readDirectory() || before === this.directory) return;
    for (const name of changedNames(before, this.directory)) {
      const covered = this.#covers ? before.get(name) : undefined;
      this.#replace(name, true, covered === undefined ? this.#held(name) : { slot: this.#deps.slots.of(covered) });
      if (slicer.due()) await slicer.rest();
    }
  }

  /** Looks a name up again whose `found` cell was marked. */
  refreshFound(name: string): void {
    if (!this.directory.has(name)) this.#replace(name, false, this.#held(name));
  }

  /** Notes that the slot of a name has other bytes than `before`. */
  noteChange(name: string, before: EncodedResource | undefined): void {
    this.#note(name, before, this.directory.has(name));
  }

  /** Hands what changed since the last call to every viewer. */
  deliver(): void {
    const changes = this.#changes;
    if (changes === undefined) return;
    this.#changes = undefined;
    const ordered = { listed: inOrder(changes.listed), asked: inOrder(changes.asked) };
    for (const viewer of this.viewers) viewer.changed(ordered);
  }

  /** Lets go of every cell. */
  close(): void {
    this.#counts = undefined;
    this.#complete = 0;
    this.#uncover();
    for (const [name, slot] of [...(this.#entries ?? [])]) this.#forget(name, slot);
    const { graph } = this.#deps;
    for (const name of this.#found ?? []) graph.drop(this.#translator.found, { client: this.client, name });
    this.#found = undefined;
    graph.drop(this.#translator.directory, this.client);
  }

  #readDirectory(): boolean {
    try {
      this.directory = this.#deps.graph.read(this.#translator.directory, this.client);
      this.failed = false;
      this.#directoryReads++;
      return true;
    } catch (error) {
      if (!this.failed) this.#deps.onError(error, `the list of ${this.type} resources`);
      this.failed = true;
      this.#deps.failing.add(this);
      return false;
    }
  }

  #wanted(name: string): boolean {
    return this.#counts?.has(name) === true || ((this.#covers || this.#complete > 0) && this.directory.has(name));
  }

  #slotOf(name: string): Slot<View> | undefined {
    return (this.#covers ? this.#deps.slots.of(this.directory.get(name)) : undefined) ?? this.#entries?.get(name);
  }

  #holds(name: string): boolean {
    return (this.#covers && this.directory.has(name)) || this.#entries?.has(name) === true;
  }

  #held(name: string): Held | undefined {
    return this.#entries?.has(name) ? { slot: this.#entries.get(name) } : undefined;
  }

  /** Holds by name again what is still wanted, and lets go of the rest. */
  #uncover(): void {
    if (!this.#covers) return;
    this.#covers = false;
    for (const [name, ref] of this.directory) {
      const slot = this.#deps.slots.of(ref);
      if (this.#counts?.has(name)) this.#setEntry(name, slot);
      else if (slot !== undefined) this.#deps.slots.release(slot, this);
    }
  }

  #setEntry(name: string, slot: Slot<View> | undefined): void {
    this.#entries ??= new Map();
    this.#entries.set(name, slot);
  }

  #resolve(name: string): Slot<View> | undefined {
    const listed = this.directory.get(name);
    const ref = listed ?? this.#find(name);
    const slot = ref === undefined ? undefined : this.#deps.slots.acquire(ref, this, name);
    if (this.#covers && listed !== undefined) this.#entries?.delete(name);
    else this.#setEntry(slot?.name ?? name, slot);
    // While nobody wanted the name, it may have changed unnoticed.
    this.sharing.dropPlans();
    return slot;
  }

  #find(name: string): ResourceRef | undefined {
    const key = { client: this.client, name };
    const { found } = this.#translator;
    this.#found ??= new Set();
    this.#found.add(name);
    this.#deps.graph.hold(found, key);
    try {
      const ref = this.#deps.graph.read(found, key);
      this.#failedNames?.delete(name);
      return ref;
    } catch (error) {
      if (!this.failedNames.has(name)) this.#deps.onError(error, `${this.type} ${name}`);
      this.#failedNames ??= new Set();
      this.#failedNames.add(name);
      this.#deps.failing.add(this);
      return this.#entries?.get(name)?.ref;
    }
  }

  // Resolves a name anew: its cell may be another one now, or none.
  #replace(name: string, listed: boolean, before: Held | undefined): void {
    const old = before?.slot?.resource;
    if (!this.#wanted(name)) {
      if (before === undefined) return;
      this.#forget(name, before.slot);
      if (old !== undefined) this.#note(name, old, listed);
      return;
    }
    const slot = this.#resolve(name);
    // After the new one is held, so that a cell which is both is not forgotten in between.
    if (before?.slot !== undefined) this.#deps.slots.release(before.slot, this);
    if (old?.version !== slot?.resource?.version) this.#note(name, old, listed);
  }

  #forgetUnwanted(name: string): void {
    if (!this.#wanted(name)) this.#forget(name, this.#entries?.get(name));
  }

  #forget(name: string, slot: Slot<View> | undefined): void {
    this.#entries?.delete(name);
    if (slot !== undefined) this.#deps.slots.release(slot, this);
    this.#failedNames?.delete(name);
    if (this.#found?.delete(name) !== true) return;
    this.#deps.graph.drop(this.#translator.found, { client: this.client, name });
  }

  #note(name: string, before: EncodedResource | undefined, listed: boolean): void {
    this.sharing.dropPlans();
    this.#deps.changed.add(this);
    this.#changes ??= { listed: new Map(), asked: new Map() };
    const map = listed ? this.#changes.listed : this.#changes.asked;
    if (!map.has(name)) map.set(name, before ?? nothing);
  }
}

/** A name that is watched, with its slot where the resource exists. */
interface Held {
  readonly slot: Slot<View> | undefined;
}

// The order in which changes happened must not show in the bytes.
function inOrder(changes: Map<string, Have>): Map<string, Have> {
  return changes.size < 2 ? changes : new Map([...changes].sort(([a], [b]) => compareText(a, b)));
}
