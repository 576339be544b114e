// `npm run bench`: cold translation, latency of one change and memory at 1,000 and 5,000 services, as a table.
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runOrThrow } from '../support/child.ts';
import { measureWorld, type WorldFigures } from './world.ts';
import { benchAllXds } from './xds.ts';

const { values } = parseArgs({
  options: {
    services: { type: 'string', default: '1000,5000' },
    classes: { type: 'string', default: '20' },
    /** Changes of each kind; the figures are their medians. */
    rounds: { type: 'string', default: '15' },
    /** Measures one size in this process and prints its figures as JSON. */
    one: { type: 'boolean', default: false },
    /** Leaves out the streams over gRPC. */
    'no-xds': { type: 'boolean', default: false },
  },
});

/** Each size in a process of its own, so that none inherits the other's heap or compiled code. */
async function measure(services: string): Promise<WorldFigures> {
  const self = join(import.meta.dirname, 'main.ts');
  const { classes, rounds } = values;
  const args = ['--expose-gc', self, '--one', '--services', services, '--classes', classes, '--rounds', rounds];
  return JSON.parse(await runOrThrow(process.execPath, args, { timeoutMs: 600_000 })) as WorldFigures;
}

function rowOf(what: string, figures: readonly WorldFigures[], pick: (one: WorldFigures) => string): string {
  return `| ${what} | ${figures.map(pick).join(' | ')} |`;
}

const ms = (value: number): string => `${Number(value.toPrecision(3))} ms`;
const mib = (value: number): string => `${Math.round(value)} MiB`;

function tableOf(figures: readonly WorldFigures[]): string {
  const [first] = figures;
  return [
    `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}; ${first?.classes ?? 0} classes of sidecars.`,
    '',
    rowOf('', figures, ({ services }) => `${services.toLocaleString('en')} services`),
    rowOf('---', figures, () => '---:'),
    rowOf('Cold: all resources of all classes translated and sent', figures, ({ cold }) => ms(cold)),
    rowOf('One endpoint, until the last stream was sent it', figures, ({ endpoint }) => ms(endpoint)),
    rowOf("One service's port", figures, ({ port }) => ms(port)),
    rowOf('One VirtualService', figures, ({ route }) => ms(route)),
    rowOf('Resources sent at first', figures, ({ resources }) => resources.toLocaleString('en')),
    rowOf('Bytes sent at first', figures, ({ sent }) => mib(sent)),
    rowOf('Cells', figures, ({ cells }) => cells.toLocaleString('en')),
    rowOf('Heap for it', figures, ({ heap }) => mib(heap)),
    rowOf('Resident memory of the process', figures, ({ rss }) => mib(rss)),
  ].join('\n');
}

if (values.one) {
  console.log(
    JSON.stringify(await measureWorld(Number(values.services), Number(values.classes), Number(values.rounds))),
  );
} else {
  const figures: WorldFigures[] = [];
  for (const services of values.services.split(',')) figures.push(await measure(services));
  console.log(tableOf(figures));
  const streams = values['no-xds'] ? [] : await benchAllXds();
  if (streams.length > 0)
    console.log('\n| Over gRPC on loopback, until the last client had it | median |\n| --- | ---: |');
  for (const { name, median } of streams) console.log(`| ${name} | ${ms(median)} |`);
}
