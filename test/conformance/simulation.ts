// Runs the suite `simulation`: where each call goes by our listeners and routes, against where it goes by Istio's.
import { findResource, listResources, routeNamesOf } from '../../discovery/dump.ts';
import { jsonOf } from '../support/world.ts';
import type { Outcome } from './runner.ts';
import { judgeSample, type Sample, scoreLines, type Verdict } from './simulation-judge.ts';
import { type Case, readCases, skipReason, worldOf } from './suite.ts';
import { follow, type Given } from './traffic.ts';

interface SimulationCase extends Case {
  readonly calls: readonly Sample[];
  readonly probes: readonly Sample[];
}

/**
 * Judges every case of the folder; a case passes when all its calls and probes are right. `show` prints every difference
 * of the cases whose name holds it, those of the stricter score in brackets.
 */
export async function run(folder: string, out: (line: string) => void, show = ''): Promise<Outcome> {
  const skipped = new Map<string, number>();
  const cases = new Map<string, readonly Verdict[]>();
  let failed = 0;
  for (const c of readCases<SimulationCase>(folder)) {
    const reason = skipReason(c);
    if (reason !== undefined) {
      skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
      continue;
    }
    const verdicts = judge(folder, c);
    cases.set(c.name, verdicts);
    if (show !== '' && c.name.includes(show))
      for (const line of verdicts.flatMap(differences)) out(`  ${c.name} ${line}`);
    const wrong = verdicts.filter((verdict) => verdict.wrong.length > 0);
    const [first] = wrong;
    if (first === undefined) continue;
    failed++;
    out(`FAIL ${c.name}: ${wrong.length}/${verdicts.length} wrong, ${first.sample.name}: ${first.wrong.join(', ')}`);
  }
  if (cases.size + skipped.size === 0) throw new Error(`no cases in ${folder}`);
  for (const [reason, count] of [...skipped].sort(([, a], [, b]) => b - a)) out(`skipped ${count}: ${reason}`);
  for (const line of scoreLines(cases)) out(line);
  const total = [...skipped.values()].reduce((a, b) => a + b, 0);
  return { passed: cases.size - failed, failed, skipped: total };
}

function differences({ sample, wrong, stricter }: Verdict): readonly string[] {
  const { tls, protocol, address, port, sni = '', alpn = '', hostHeader = '', path } = sample.call;
  const title = `${sample.name} ${[tls, protocol, `${address}:${port}`, sni, alpn, hostHeader, path].join(' ')}`;
  return [...wrong.map((what) => `${title}: ${what}`), ...stricter.map((what) => `${title}: (${what})`)];
}

/** A case whose input throws gets every call wrong. */
function judge(folder: string, c: SimulationCase): readonly Verdict[] {
  const samples = [...c.calls, ...c.probes];
  try {
    const given = givenTo(folder, c);
    return samples.map((s) => judgeSample(s, follow(s.call, given, s.strictRoutes === true)));
  } catch (error) {
    const message =
      error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 3).join(' ') : String(error);
    return samples.map((sample) => ({ sample, wrong: [`threw ${message}`], stricter: [] }));
  }
}

/** Listeners and routes of a case's proxy, as Meltemi gives them. */
function givenTo(folder: string, c: Case): Given {
  const { graph, client } = worldOf(folder, c.input, c.proxy);
  const listeners = listResources(graph, client, 'listener').map(jsonOf);
  const routes = routeNamesOf(listeners).flatMap((name) => {
    const resource = findResource(graph, client, 'route', name);
    return resource === undefined ? [] : [jsonOf(resource)];
  });
  return { listeners, routes };
}
