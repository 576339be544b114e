// Everything a publisher is given: the model, the effects, and the decisions that others make.
import type { CellRef, Graph, Input, Query } from '../graph/graph.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { ProxyClass } from '../proxy/proxy-class.ts';
import type { TranslatorTable } from '../translate/translator.ts';
import type { DebugAnswer, StreamLimits } from './host.ts';
import type { XdsMetrics } from './metrics.ts';
import type { AuthorizeSecret, OpenOwnResources } from './own-resources.ts';
import type { XdsStream } from './stream.ts';

/** One line for the operator. */
export interface LogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Answers istioctl's debug types; absent: they get no answer. */
export type AnswerDebug = (
  stream: XdsStream,
  typeUrl: string,
  names: readonly string[],
) => Promise<DebugAnswer | undefined>;

/** What a publisher works on. */
export interface PublisherOptions {
  readonly graph: Graph;
  readonly translators: TranslatorTable;
  /** Connected proxies, by node id: written on connect, removed on disconnect. */
  readonly proxies: Input<string, Proxy | undefined>;
  /** Class of a connected proxy, by node id; an output. */
  readonly classOf: Query<string, ProxyClass | undefined>;
  readonly metrics?: XdsMetrics;
  readonly log?: (line: LogLine) => void;
  readonly openOwnResources?: OpenOwnResources;
  readonly authorizeSecret?: AuthorizeSecret;
  readonly answerDebug?: AnswerDebug;
  /** Turns the inputs a resource rests on into names of objects for people. */
  readonly describeInputs?: (inputs: readonly CellRef[]) => readonly string[];
  readonly limits?: Partial<StreamLimits>;
  /** Makes nonces of this process differ from those of another. */
  readonly epoch: string;
  /** Monotonic clock in milliseconds. */
  readonly now?: () => number;
  /** Milliseconds since the epoch. */
  readonly wallClock?: () => number;
  /** How long the views of a class outlive its last stream. Default 30 s. */
  readonly lingerMs?: number;
}
