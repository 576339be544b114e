// One type on one stream: its subscription, the view it looks at, and what the next response would hold.
import { compareText } from '../../config/object.ts';
import type { EncodedResource } from '../resource.ts';
import { type ResourceType, typeUrls } from '../xds-types.ts';
import { emptyPlan, type Plan, planOf } from './plan.ts';
import type { Variant } from './request.ts';
import { sharedNames } from './sharing.ts';
import {
  asked,
  type Have,
  newSubscription,
  nothing,
  type Owed,
  oweAll,
  owesNothing,
  type Step,
  type Subscription,
  type TypeRules,
} from './subscription.ts';
import type { Slicer } from './turns.ts';
import type { Changes, View, Viewer } from './view.ts';

/** What a channel needs of its stream. */
export interface ChannelOwner {
  readonly variant: Variant;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /**
   * A resource of the stream's own, `later` where it is not there yet, `class` where the name is the class's business, or
   * undefined where refused.
   */
  resolve(type: ResourceType, name: string): EncodedResource | 'class' | 'later' | undefined;
  /** Something is owed. */
  wake(): void;
}

/** The contents of a response and what is still owed after it. */
export interface Draft {
  readonly resources: readonly EncodedResource[];
  readonly removed: readonly string[];
  /** Only class resources: the bytes may be shared with other streams. */
  readonly shared: boolean;
  readonly owedAfter: Owed;
  /** Some of the resources are new to the client. */
  readonly additions: number;
  readonly updates: readonly EncodedResource[];
}

/** A channel is bound to its view until `detach`. */
export class Channel implements Viewer {
  readonly type: ResourceType;
  readonly rules: TypeRules;
  readonly sub: Subscription;
  readonly openedAt: number;
  /** When a response was last sent, as `openedAt`. */
  sentAt = 0;
  view: View | undefined;
  readonly #owner: ChannelOwner;
  #planned: { readonly owed: Owed; readonly plan: Plan } | undefined = undefined;

  constructor(owner: ChannelOwner, type: ResourceType, rules: TypeRules, view: View | undefined) {
    this.#owner = owner;
    this.type = type;
    this.rules = rules;
    this.sub = newSubscription(typeUrls[type], owner.variant);
    this.view = view;
    this.openedAt = owner.now();
    view?.join(this);
  }

  /** Called by the view, once a publish. */
  changed(changes: Changes): void {
    const { sub } = this;
    this.#planned = undefined;
    const before = sub.owed;
    if (sub.wildcard) oweAll(sub, changes.listed);
    if (sub.names.size > 0) {
      const wanted = pickNames(changes.asked, sub.names);
      if (!sub.wildcard) for (const [name, have] of pickNames(changes.listed, sub.names)) wanted.set(name, have);
      oweAll(sub, wanted);
    }
    if (sub.owed !== before) this.#owner.wake();
  }

  /** Brings the view to hold what the step asks for, and owes the client what the step makes due. */
  async follow(step: Step, wasWildcard: boolean, slicer: Slicer): Promise<void> {
    const { sub, view } = this;
    this.#planned = undefined;
    if (view !== undefined) {
      if (sub.wildcard && !wasWildcard) await view.wantAll(slicer);
      await view.want(inOrder(step.joined), slicer);
      if (!sub.wildcard && wasWildcard) view.unwantAll();
      view.unwant(step.dropped);
      if (step.joined.length > 0 || step.dropped.length > 0) {
        sub.names = sharedNames(sub, view.viewers, step.joined.length, (name) => view.sharedText(name));
      }
    }
    if (step.dropped.length > 0 && !sub.wildcard) this.#forget(step.dropped);
    if (step.everything) this.#oweEverything(step.have);
    if (step.answer.length > 0) this.#oweAnswers(step);
    // A state-of-the-world response without resources is only for types of which the client waits for the whole.
    if (step.first) sub.hadAll = step.haveAll;
    if (step.first && (sub.variant === 'delta' || this.rules.complete)) sub.mustAnswer = true;
    if (step.answer.length > 0 && sub.variant === 'sotw' && this.rules.complete) sub.mustAnswer = true;
  }

  /** Looks at another view from now on; the client is owed the differences. */
  async move(next: View | undefined, slicer: Slicer): Promise<void> {
    const { sub, view } = this;
    if (next === view) return;
    this.#planned = undefined;
    next?.join(this);
    if (sub.wildcard) await next?.wantAll(slicer);
    await next?.want(sub.names, slicer);
    const owed = new Map<string, Have>();
    const compare = (name: string): void => {
      const old = view?.get(name);
      if (old?.version !== next?.get(name)?.version) owed.set(name, old ?? nothing);
    };
    if (sub.wildcard) {
      for (const name of view?.directory.keys() ?? []) compare(name);
      for (const name of next?.directory.keys() ?? []) if (!owed.has(name)) compare(name);
    }
    for (const name of sub.names) compare(name);
    this.detach();
    this.view = next;
    if (owed.size > 0) oweAll(sub, owed);
  }

  /** Leaves the view. */
  detach(): void {
    this.view?.leave(this, this.#owner.now());
    this.view = undefined;
  }

  /** The resource the client should have under a name. */
  lookup(name: string): EncodedResource | undefined {
    const own = this.#owner.resolve(this.type, name);
    if (own !== 'class') return own === 'later' ? undefined : own;
    if (!this.sub.names.has(name) && this.view?.directory.has(name) !== true) return undefined;
    return this.view?.get(name);
  }

  #present(name: string): EncodedResource | 'unknown' | undefined {
    return this.lookup(name) ?? (this.#isUnknown(name) ? 'unknown' : undefined);
  }

  /** Whether nobody can say yet what the client should have under a name. */
  #isUnknown(name: string): boolean {
    const own = this.#owner.resolve(this.type, name);
    return own === 'later' || (own === 'class' && this.view?.isUnknown(name) === true);
  }

  /** Whether answers can be given: not while the list of resources could not be computed even once. */
  get ready(): boolean {
    return this.view?.known !== false;
  }

  /** What is owed, compared with what there is. */
  plan(): Plan {
    const { owed } = this.sub;
    if (owed.size === 0) return emptyPlan;
    if (this.#planned?.owed === owed) return this.#planned.plan;
    const make = (): Plan => planOf(owed, this.rules, (name) => this.#present(name));
    const { view } = this;
    const plan = view !== undefined && this.#isOrdinary() ? view.sharing.planOf(owed, make) : make();
    this.#planned = { owed, plan };
    return plan;
  }

  /** Books a draft as sent. */
  settle(draft: Draft): void {
    this.sub.owed = draft.owedAfter;
    this.sub.mustAnswer = false;
    this.sub.hadAll = '';
    this.#planned = undefined;
  }

  /** Forgets plans after a resource of the stream's own changed. */
  replan(): void {
    this.#planned = undefined;
  }

  /** The next response, or undefined where nothing has to be sent. Call `settle` with it when it was sent. */
  draft(part: 'all' | 'updates' | 'removals'): Draft | undefined {
    const { sub } = this;
    const plan = this.plan();
    const keepGone = part === 'updates' && plan.gone.size > 0;
    const owedAfter = laterOf(keepGone ? plan.gone : owesNothing, plan.unknown);
    const removed = [...plan.missing, ...(keepGone ? [] : plan.gone.keys())];
    const due = plan.updates.length > 0 || removed.length > 0;
    if (!due && !sub.mustAnswer) {
      if (!keepGone) sub.owed = owedAfter;
      return undefined;
    }
    const { updates, additions } = plan;
    if (sub.variant === 'delta') {
      const shared = this.#isShared(updates);
      return { resources: updates, removed, shared, owedAfter, additions, updates };
    }
    if (!this.rules.complete && updates.length === 0) {
      sub.owed = owedAfter;
      sub.mustAnswer = false;
      return undefined;
    }
    const resources = this.rules.complete ? this.complete(keepGone ? plan.gone : undefined) : updates;
    return { resources, removed: [], shared: this.#isShared(resources), owedAfter, additions, updates };
  }

  /** Every resource the client should have, in order; with what is to be kept a moment longer. */
  complete(keep?: ReadonlyMap<string, Have>): readonly EncodedResource[] {
    const resources: EncodedResource[] = [];
    const names = new Set(this.sub.wildcard ? this.view?.directory.keys() : []);
    for (const name of inOrder([...this.sub.names])) names.add(name);
    for (const name of names) {
      const resource = this.lookup(name);
      if (resource !== undefined) resources.push(resource);
    }
    for (const have of keep?.values() ?? []) if (typeof have !== 'string') resources.push(have);
    return resources;
  }

  // What it is owed depends on the view alone, not on the stream.
  #isOrdinary(): boolean {
    return this.type !== 'secret' && !(this.sub.wildcard && this.sub.names.size > 0);
  }

  #isShared(resources: readonly EncodedResource[]): boolean {
    return this.type !== 'secret' || resources.every(({ name }) => this.#owner.resolve(this.type, name) === 'class');
  }

  #oweEverything(have: ReadonlyMap<string, string>): void {
    const { view, sub } = this;
    if (have.size === 0) {
      if (view !== undefined) oweAll(sub, view.sharing.everything(view.directory));
      return;
    }
    const owed = new Map<string, Have>();
    for (const name of view?.directory.keys() ?? []) {
      const version = have.get(name);
      if (version === undefined || view?.get(name)?.version !== version) owed.set(name, version ?? nothing);
    }
    for (const [name, version] of have) {
      if (!owed.has(name) && view?.directory.has(name) !== true && !sub.names.has(name)) owed.set(name, version);
    }
    oweAll(sub, owed);
  }

  #oweAnswers(step: Step): void {
    const { sub, view } = this;
    if (sub.owed.size === 0 && step.have.size === 0 && step.answer.length === sub.names.size) {
      const make = (): Owed => new Map(inOrder(step.answer).map((name) => [name, asked] as const));
      sub.owed = view === undefined ? make() : view.sharing.askedFor(sub.names, make);
      return;
    }
    const owed = new Map(sub.owed);
    for (const name of inOrder(step.answer)) {
      const version = step.have.get(name);
      if (version === undefined) owed.set(name, asked);
      else if (this.lookup(name)?.version !== version)
        owed.set(name, this.lookup(name) === undefined && !this.#isUnknown(name) ? asked : version);
    }
    sub.owed = owed.size === 0 ? owesNothing : owed;
  }

  #forget(names: readonly string[]): void {
    const { sub } = this;
    if (sub.owed.size === 0) return;
    const rest = new Map(sub.owed);
    for (const name of names) rest.delete(name);
    sub.owed = rest;
  }
}

function laterOf(gone: Owed, unknown: Owed): Owed {
  return unknown.size === 0 ? gone : gone.size === 0 ? unknown : new Map([...gone, ...unknown]);
}

// Clients name resources in any order; equal sets must give equal bytes.
function inOrder(names: readonly string[]): readonly string[] {
  for (let i = 1; i < names.length; i++) {
    if (compareText(names[i - 1] ?? '', names[i] ?? '') > 0) return [...names].sort(compareText);
  }
  return names;
}

function pickNames(changes: ReadonlyMap<string, Have>, names: ReadonlySet<string>): Map<string, Have> {
  const picked = new Map<string, Have>();
  if (names.size < changes.size) {
    for (const name of names) {
      const have = changes.get(name);
      if (have !== undefined) picked.set(name, have);
    }
  } else {
    for (const [name, have] of changes) if (names.has(name)) picked.set(name, have);
  }
  return picked;
}
