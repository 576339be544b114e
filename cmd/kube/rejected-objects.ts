// What mesh objects are told in their status of the resources that proxies reject, of whichever replica these are.
import { compareText } from '../../config/object.ts';
import { type RejectedResource, type RejectionReport, roundedDown } from './rejected-resources.ts';

/**
 * For each mesh object, by `Kind namespace/name`, a sentence about the rejected resources that are made of it. Of equal
 * reports in equal order the sentences are equal, whoever makes them.
 */
export function rejectedObjects(reports: Iterable<RejectionReport>): ReadonlyMap<string, string> {
  const found = new Map<string, Map<string, RejectedResource>>();
  let more = 0;
  for (const report of reports) {
    more += report.more;
    for (const resource of report.resources) {
      const id = `${resource.type} ${resource.name}`;
      for (const ref of resource.objects) {
        const own = found.get(ref) ?? new Map<string, RejectedResource>();
        const known = own.get(id);
        found.set(ref, own.set(id, { ...(known ?? resource), proxies: resource.proxies + (known?.proxies ?? 0) }));
      }
    }
  }
  return new Map([...found].map(([ref, own]) => [ref, sentenceOf(own) + cutOf(more)]));
}

function sentenceOf(own: ReadonlyMap<string, RejectedResource>): string {
  const [first, ...rest] = [...own].sort(([a], [b]) => compareText(a, b)).map(([, resource]) => resource);
  if (first === undefined) return '';
  const { type, name, reason, proxies, others } = first;
  const shared = others === 0 ? '' : `, which is made of this object and ${count(others, 'other')},`;
  const why = reason === '' ? '' : `: ${reason}`;
  const more =
    rest.length === 0 ? '' : `; so ${rest.length === 1 ? 'is' : 'are'} ${count(rest.length, 'more resource')}`;
  return `${type} ${name}${shared} is rejected by ${count(proxies, 'proxy')}${why}${more}`;
}

function cutOf(more: number): string {
  return more === 0 ? '' : ` (reports of rejections were cut: ${count(more, 'rejected resource')} left out)`;
}

function count(n: number, what: string): string {
  const plural = what === 'proxy' ? 'proxies' : `${what}s`;
  return n === 1 ? `1 ${what}` : n < 10 ? `${n} ${plural}` : `at least ${roundedDown(n)} ${plural}`;
}
