// Prometheus scrapes the agent, which merges the application's metrics with the proxy's.
import { booleanOf } from './annotations.ts';
import { goJson } from './field-order.ts';
import { annotationsOf, type Pod, withMeta, withProxy } from './pod.ts';

const path = 'prometheus.io/path';
const port = 'prometheus.io/port';
const scrape = 'prometheus.io/scrape';

// Some users write `prometheus_io/port`; Prometheus sees both alike once names are sanitized.
function lookUp(annotations: Readonly<Record<string, string>>, name: string): string | undefined {
  return annotations[name] ?? annotations[name.replace('.', '_')];
}

/** Whether metrics are merged for this pod: its annotation, else the mesh setting. */
export function mergesMetrics(annotations: Readonly<Record<string, string>>, meshDefault: boolean): boolean {
  const value = annotations['prometheus.istio.io/merge-metrics'];
  return value === undefined ? meshDefault : (booleanOf(value) ?? meshDefault);
}

/** Points the pod's scrape annotations at the agent and tells the agent what they said before. */
export function mergePrometheus(pod: Pod, statusPort: number): Pod {
  const annotations = annotationsOf(pod);
  const target = String(statusPort);
  if (lookUp(annotations, port) === target) return pod;
  // An application that asks not to be scraped is left alone.
  if (booleanOf(lookUp(annotations, scrape) ?? '') === false) return pod;
  const said = {
    scrape: lookUp(annotations, scrape) ?? '',
    path: lookUp(annotations, path) ?? '',
    port: lookUp(annotations, port) ?? '',
  };
  const says = said.scrape !== '' || said.path !== '' || said.port !== '';
  const told = says
    ? withProxy(pod, (proxy) => ({
        ...proxy,
        env: [...(proxy.env ?? []), { name: 'ISTIO_PROMETHEUS_ANNOTATIONS', value: goJson(said) }],
      }))
    : pod;
  return withMeta(told, {
    annotations: { ...withoutScrape(annotations), [port]: target, [path]: '/stats/prometheus', [scrape]: 'true' },
  });
}

/** Takes the annotations of an earlier injection away, so that a second one does not mistake them for the user's. */
export function withoutMerge(pod: Pod, statusPort: number): Pod {
  const annotations = annotationsOf(pod);
  if (lookUp(annotations, port) !== String(statusPort)) return pod;
  return withMeta(pod, { annotations: withoutScrape(annotations) });
}

function withoutScrape(annotations: Readonly<Record<string, string>>): Record<string, string> {
  const names = [path, port, scrape].flatMap((name) => [name, name.replace('.', '_')]);
  return Object.fromEntries(Object.entries(annotations).filter(([name]) => !names.includes(name)));
}
