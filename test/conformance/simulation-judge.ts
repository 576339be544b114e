// Judges where a call went by the rules of suites/README.md, and adds verdicts up to its scores.
import { isDeepStrictEqual } from 'node:util';
import type { Call, Fate } from './traffic.ts';

/** A call with what Istio makes of it. */
export interface Sample {
  readonly name: string;
  readonly call: Call;
  /** What upstream's test of the call asserts. */
  readonly want: Fate & { readonly strictMatch?: boolean };
  readonly full: Fate;
  readonly extra?: Fate['extra'];
  /** Set on what was derived from the configuration (a probe), not on what upstream's tests call. */
  readonly strictRoutes?: boolean;
}

/** What differs, as `field: want … got …`. */
export interface Verdict {
  readonly sample: Sample;
  /** Empty where the call is right. */
  readonly wrong: readonly string[];
  /** Names inside Istio and what is done on the way: only the stricter score counts them. */
  readonly stricter: readonly string[];
}

type Field = Exclude<keyof Fate, 'extra'>;

const judgedOfProbes: readonly Field[] = [
  'error',
  'listenerMatched',
  'virtualHostMatched',
  'clusterMatched',
  'routeConfigMatched',
];
const fields: readonly Field[] = [...judgedOfProbes, 'filterChainMatched', 'routeMatched'];

/** Compares what became of a call with what was to become of it. */
export function judgeSample(sample: Sample, got: Fate): Verdict {
  const judged = judgedFields(sample);
  const asked = sample.strictRoutes === true ? sample.full : sample.want;
  const wrong = judged.flatMap((field) => difference(field, asked[field] ?? '', got[field] ?? ''));
  const others = fields.filter((field) => !judged.includes(field));
  return {
    sample,
    wrong,
    stricter: [
      ...others.flatMap((field) => difference(field, sample.full[field] ?? '', got[field] ?? '')),
      // A case with a check that only Go can express has none.
      ...(sample.extra === undefined ? [] : difference('extra', filled(sample.extra), filled(got.extra))),
    ],
  };
}

function judgedFields({ want, strictRoutes }: Sample): readonly Field[] {
  if (strictRoutes === true) return judgedOfProbes;
  return want.strictMatch === true ? fields : fields.filter((field) => want[field] !== undefined);
}

function difference(field: string, want: unknown, got: unknown): readonly string[] {
  return isDeepStrictEqual(want, got) ? [] : [`${field}: want ${JSON.stringify(want)} got ${JSON.stringify(got)}`];
}

/** Without what is empty. */
function filled(extra: Fate['extra'] = {}): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(extra).filter(([, value]) => value !== undefined && value !== ''));
}

/** What a call comes to, so that the many that pass through do not hide the rest. */
export function outcomeOf({ full, extra = {} }: Sample): string {
  const { error = '', clusterMatched = '' } = full;
  if (error !== '') return error;
  if (/^(InboundPassthroughCluster|inbound\|)/.test(clusterMatched)) return 'inbound';
  if (/^(PassthroughCluster|BlackHoleCluster)$/.test(clusterMatched)) return 'passed through or dropped';
  for (const action of ['weightedClusters', 'redirect', 'directResponse']) if (action in extra) return action;
  return 'outbound';
}

/** The scores of suites/README.md, a line each; `cases` holds the verdicts of each case by its name. */
export function scoreLines(cases: ReadonlyMap<string, readonly Verdict[]>): readonly string[] {
  const written = (name: string): boolean => /^worlds-(feature|ambient)-/.test(name);
  const all = [...cases.values()].flat();
  const casesOf = (wanted: (name: string) => boolean) =>
    [...cases].filter(([name]) => wanted(name)).map(([, verdicts]) => verdicts);
  const classes = Object.entries(Object.groupBy(all, ({ sample }) => outcomeOf(sample))).map(
    ([outcome, verdicts = []]) => ({ outcome, verdicts, share: verdicts.filter(isRight).length / verdicts.length }),
  );
  const macro = classes.reduce((sum, { share }) => sum + share, 0) / Math.max(classes.length, 1);
  return [
    '                                          right             strictly',
    scoreLine(
      'configurations',
      casesOf(() => true),
    ),
    scoreLine(
      "  upstream's",
      casesOf((name) => !written(name)),
    ),
    scoreLine('  written for the suite', casesOf(written)),
    scoreLine(
      "calls of upstream's tests",
      all.filter(({ sample }) => sample.strictRoutes !== true).map((v) => [v]),
    ),
    scoreLine(
      'probes',
      all.filter(({ sample }) => sample.strictRoutes === true).map((v) => [v]),
    ),
    ...classes
      .sort((a, b) => b.verdicts.length - a.verdicts.length)
      .map(({ outcome, verdicts }) =>
        scoreLine(
          `  ${outcome}`,
          verdicts.map((v) => [v]),
        ),
      ),
    `average of these outcomes                ${(100 * macro).toFixed(2)} %`,
  ];
}

function scoreLine(what: string, groups: readonly (readonly Verdict[])[]): string {
  const score = (holds: (verdict: Verdict) => boolean): string => {
    const count = groups.filter((verdicts) => verdicts.every(holds)).length;
    const percent = (100 * count) / Math.max(groups.length, 1);
    return `${count}/${groups.length} ${percent.toFixed(1)} %`.padEnd(22);
  };
  return `${what.padEnd(34)} ${score(isRight)} ${score((v) => isRight(v) && v.stricter.length === 0)}`.trimEnd();
}

function isRight({ wrong }: Verdict): boolean {
  return wrong.length === 0;
}
