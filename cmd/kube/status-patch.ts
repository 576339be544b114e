// What the status of a mesh object is to say of it, as a merge patch of the status that it has.
import { type Diagnostic, formatDiagnostic, hasErrors } from '../../config/diagnostic.ts';
import { compareText } from '../../config/object.ts';

/** What is known of one object. */
export interface Judgement {
  readonly findings: readonly Diagnostic[];
  /** With errors: an earlier version of the object stays in force. */
  readonly keptLastGood: boolean;
  /** What proxies do with what is made of the object: `unknown` where nobody can say yet; undefined: they take it. */
  readonly rejection: string | 'unknown' | undefined;
}

/** A JSON merge patch of a status: lists are whole, null removes. */
export interface StatusPatch {
  readonly conditions?: readonly unknown[] | null;
  readonly validationMessages?: readonly unknown[] | null;
  readonly observedGeneration?: number | null;
}

/** When it is said, and of which generation of the object. */
export interface Moment {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly generation: number | undefined;
}

interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** Our conditions, and the reasons by which they are known to be ours. */
const ownReasons: Readonly<Record<string, readonly string[]>> = {
  Accepted: ['Invalid', 'AcceptedWithWarnings'],
  Programmed: ['ProxyRejected'],
};
/** Marks our entries among validationMessages; Istio's own codes are `IST0101` and the like. */
const codePrefix = 'meltemi/';
/** Findings that are told in words, and characters of each. */
const mostFindings = 5;
const mostText = 300;

/**
 * The patch that makes a status (as the API server has it) say what is known; undefined where it does. Only our own
 * conditions and messages are touched. Nothing known means nothing said: ours are taken away again.
 */
export function statusPatch(status: unknown, judgement: Judgement, moment: Moment): StatusPatch | undefined {
  const before = recordOf(status);
  const conditions = listOf(before['conditions']);
  const messages = listOf(before['validationMessages']);
  const wanted = conditionsFor(judgement);
  const nextConditions = replaceConditions(conditions, wanted, judgement.rejection === 'unknown', moment);
  const nextMessages = replaceMessages(messages, judgement.findings);
  const speaks = nextConditions.some(isOwnCondition) || nextMessages.some(isOwnMessage);
  const spoke = conditions.some(isOwnCondition) || messages.some(isOwnMessage);
  if (!speaks && !spoke) return undefined;
  const patch: StatusPatch = {
    ...(sameItems(conditions, nextConditions) ? {} : { conditions: orNull(nextConditions) }),
    ...(sameItems(messages, nextMessages) ? {} : { validationMessages: orNull(nextMessages) }),
    ...generationPatch(before['observedGeneration'], wanted.length > 0, nextConditions.length > 0, moment),
  };
  return Object.keys(patch).length === 0 ? undefined : patch;
}

function conditionsFor({ findings, keptLastGood, rejection }: Judgement): readonly Condition[] {
  const invalid = hasErrors(findings);
  const effect = keptLastGood ? 'The last valid version stays in force' : 'The object has no effect';
  const accepted: Condition = {
    type: 'Accepted',
    status: invalid ? 'False' : 'True',
    reason: invalid ? 'Invalid' : 'AcceptedWithWarnings',
    message: `${invalid ? `${effect}. ` : ''}${textOf(findings)}`,
  };
  return [
    ...(findings.length === 0 ? [] : [accepted]),
    ...(rejection === undefined || rejection === 'unknown'
      ? []
      : [{ type: 'Programmed', status: 'False', reason: 'ProxyRejected', message: rejection } as const]),
  ];
}

/** The most severe findings in words, one after the other. */
function textOf(findings: readonly Diagnostic[]): string {
  const ordered = [...findings.filter(isError), ...findings.filter((finding) => !isError(finding))];
  const texts = ordered.slice(0, mostFindings).map(({ object: _object, position: _position, ...finding }) => {
    const text = formatDiagnostic(finding);
    return text.length > mostText ? `${text.slice(0, mostText)}…` : text;
  });
  const more = findings.length > mostFindings ? [`${findings.length - mostFindings} more`] : [];
  return [...texts, ...more].join('; ');
}

function isError({ severity }: Diagnostic): boolean {
  return severity === 'error';
}

/** Others' conditions stay as and where they are; ours are brought up to date, added, or left out. */
function replaceConditions(
  conditions: readonly unknown[],
  wanted: readonly Condition[],
  keepProgrammed: boolean,
  moment: Moment,
): readonly unknown[] {
  const placed = new Set<string>();
  const kept = conditions.flatMap((condition) => {
    const { type } = recordOf(condition);
    const next = wanted.find((one) => one.type === type);
    if (next !== undefined) {
      if (placed.has(next.type)) return [];
      placed.add(next.type);
      return [updated(condition, next, moment)];
    }
    return !isOwnCondition(condition) || (keepProgrammed && type === 'Programmed') ? [condition] : [];
  });
  return [
    ...kept,
    ...wanted.filter(({ type }) => !placed.has(type)).map((condition) => updated(undefined, condition, moment)),
  ];
}

function updated(condition: unknown, next: Condition, { now, generation }: Moment): unknown {
  const before = recordOf(condition);
  // Old definitions drop the field: what is not there cannot be wrong.
  const current = before['observedGeneration'] === undefined || Number(before['observedGeneration']) === generation;
  const same = (['status', 'reason', 'message'] as const).every((field) => before[field] === next[field]);
  if (same && current) return condition;
  const moved = before['status'] !== next.status || typeof before['lastTransitionTime'] !== 'string';
  return {
    ...next,
    lastTransitionTime: moved ? new Date(now).toISOString().replace(/\.\d+Z$/, 'Z') : before['lastTransitionTime'],
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  };
}

const levels = { error: 'ERROR', warning: 'WARNING', info: 'INFO' } as const;

/** Others' messages, then one of ours for each code and level. They hold no text: the form has no place for one. */
function replaceMessages(messages: readonly unknown[], findings: readonly Diagnostic[]): readonly unknown[] {
  const kinds = [...new Set(findings.map(({ code, severity }) => `${code} ${levels[severity]}`))].sort(compareText);
  const own = kinds.map((kind) => {
    const [name = '', level = ''] = kind.split(' ');
    return { type: { name, code: `${codePrefix}${name}` }, level };
  });
  const before = messages.filter(isOwnMessage);
  if (own.length === before.length && own.every((message, i) => sameMessage(message, before[i]))) return messages;
  return [...messages.filter((message) => !isOwnMessage(message)), ...own];
}

function sameMessage(a: unknown, b: unknown): boolean {
  return (
    recordOf(recordOf(a)['type'])['code'] === recordOf(recordOf(b)['type'])['code'] &&
    recordOf(a)['level'] === recordOf(b)['level']
  );
}

/** The generation of the whole status is set with ours, and goes with the last condition. */
function generationPatch(before: unknown, says: boolean, others: boolean, { generation }: Moment): StatusPatch {
  if (says) {
    const current = generation === undefined || Number(before ?? Number.NaN) === generation;
    return current ? {} : { observedGeneration: generation };
  }
  return before === undefined || before === null || others ? {} : { observedGeneration: null };
}

function isOwnCondition(condition: unknown): boolean {
  const { type, reason } = recordOf(condition);
  return (
    typeof type === 'string' && Object.hasOwn(ownReasons, type) && ownReasons[type]?.includes(String(reason)) === true
  );
}

function isOwnMessage(message: unknown): boolean {
  return String(recordOf(recordOf(message)['type'])['code'] ?? '').startsWith(codePrefix);
}

function orNull(items: readonly unknown[]): readonly unknown[] | null {
  return items.length === 0 ? null : items;
}

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
