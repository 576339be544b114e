// The live view of `meltemi up`: where to call, which proxies have what, and what happened last.
import { formatDiagnostic } from '../../config/diagnostic.ts';
import { formatTable } from '../print.ts';
import type { LaptopMesh } from './mesh.ts';

const redrawMs = 1_000;
const lastEvents = 8;
const mostFindings = 5;

/** Shows the view until disposed. On a terminal it is redrawn in place; elsewhere changes are printed as lines. */
export function showView(mesh: LaptopMesh, events: readonly string[], out: NodeJS.WriteStream): Disposable {
  let shown = '';
  const draw = (): void => {
    const text = viewOf(mesh, events);
    if (text === shown) return;
    shown = text;
    out.write(out.isTTY ? `\u001b[H\u001b[2J${text}` : `${text}\n`);
  };
  draw();
  const timer = setInterval(draw, redrawMs);
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
    },
  };
}

/** The view as text. */
export function viewOf(mesh: LaptopMesh, events: readonly string[]): string {
  const streams = [...mesh.plane.xds.publisher.streams];
  const rows = mesh.envoys().map((name) => {
    const stream = streams.find((one) => one.proxy?.workload.name === name);
    const state = (type: 'cluster' | 'endpoint' | 'listener' | 'route' | 'secret'): string => {
      const sub = stream?.channels.get(type)?.sub;
      if (sub === undefined || sub.sent === undefined) return '-';
      if (sub.rejection !== undefined) return 'REJECTED';
      return sub.acked?.nonce === sub.sent.nonce ? 'acknowledged' : 'sent';
    };
    return [
      name,
      stream === undefined ? 'starting' : 'connected',
      state('cluster'),
      state('endpoint'),
      state('listener'),
      state('route'),
      state('secret'),
    ];
  });
  const findings = mesh.plane.store.findings();
  const urls = mesh
    .ports()
    .map((port) => `${port.protocol === 'HTTPS' ? 'https' : 'http'}://127.0.0.1:${port.listening}/productpage`);
  return [
    'Meltemi is up',
    '',
    ...urls.map((url) => `  ${url}`),
    '',
    `  Edit the files in ${mesh.folder}: the traffic follows at once. Ctrl-C ends everything.`,
    '',
    formatTable(['PROXY', 'STATE', 'CLUSTERS', 'ENDPOINTS', 'LISTENERS', 'ROUTES', 'SECRETS'], rows),
    '',
    ...(findings.length === 0
      ? []
      : [
          ...findings.slice(0, mostFindings).map(formatDiagnostic),
          ...(findings.length > mostFindings ? [`${findings.length - mostFindings} more findings`] : []),
          '',
        ]),
    ...events.slice(-lastEvents),
    '',
  ].join('\n');
}
