// Mesh configuration from mounted files, handed over as the ConfigMap whose place they take; the last good one stays.
import { type Diagnostic, errorOf, hasErrors, warningOf } from '../diagnostic.ts';
import { type FileText, type FileTexts, followFiles } from '../followed-files.ts';
import type { ConfigMap } from '../kinds/config-map.ts';
import { parseMeshConfig, parseMeshNetworks } from '../mesh.ts';
import type { Source, SourceSink } from './source.ts';

/** Where the files are, and which ConfigMap they stand for. */
export interface MeshFilesOptions {
  readonly mesh: string;
  /** Need not be there. */
  readonly networks: string;
  readonly configMap: { readonly namespace: string; readonly name: string };
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Reads the files, hands over what they hold, and follows their changes until disposed. Resolves once they were read. */
export async function startMeshFiles(options: MeshFilesOptions, sink: SourceSink): Promise<Source> {
  let held: Readonly<Record<string, string>> = {};
  const tell = (texts: FileTexts): void => {
    const files = [
      readingOf('mesh', options.mesh, texts, held, (text) => parseMeshConfig(text, { file: options.mesh }).diagnostics),
      readingOf(
        'meshNetworks',
        options.networks,
        texts,
        held,
        (text) => parseMeshNetworks(text, options.networks).diagnostics,
      ),
    ];
    for (const { path, findings } of files) sink.report(path, findings);
    held = Object.fromEntries(files.flatMap(({ key, text }) => (text === undefined ? [] : [[key, text]])));
    const { namespace, name } = options.configMap;
    const object: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name }, data: held };
    const position = { file: options.mesh, line: 1, column: 1 };
    sink.apply([{ kind: 'ConfigMap', key: `${namespace}/${name}`, object, position }]);
    sink.status({ synced: true, connected: true, since: options.now() });
  };
  const following = await followFiles([options.mesh, options.networks], tell);
  return { name: options.mesh, [Symbol.asyncDispose]: () => following[Symbol.asyncDispose]() };
}

/** What counts of a file now: its text where that is sound, else what it held before. */
function readingOf(
  key: 'mesh' | 'meshNetworks',
  path: string,
  texts: FileTexts,
  held: Readonly<Record<string, string>>,
  check: (text: string) => readonly Diagnostic[],
): { readonly key: string; readonly path: string; readonly text?: string; readonly findings: readonly Diagnostic[] } {
  const read: FileText = texts.get(path) ?? { problem: 'was not read', absent: false };
  if ('problem' in read && read.absent && key === 'meshNetworks') return { key, path, findings: [] };
  const position = { file: path, line: 1, column: 1 };
  const findings = 'problem' in read ? [errorOf('file-unreadable', read.problem, { position })] : check(read.text);
  if ('text' in read && !hasErrors(findings)) return { key, path, text: read.text, findings };
  const last = held[key];
  if (last === undefined) return { key, path, findings };
  const kept = warningOf('kept-last-good', 'the last valid version stays in force', { position });
  return { key, path, text: last, findings: [...findings, kept] };
}

/** A sink for the other sources: that ConfigMap of theirs is neither used nor judged while files stand for it. */
export function besideMeshFiles(sink: SourceSink, { namespace, name }: MeshFilesOptions['configMap']): SourceSink {
  const key = `${namespace}/${name}`;
  return {
    apply: (changes) => sink.apply(changes.filter((change) => change.kind !== 'ConfigMap' || change.key !== key)),
    report: (unit, diagnostics) => sink.report(unit, unit === `ConfigMap ${key}` ? [] : diagnostics),
    status: (status) => sink.status(status),
  };
}
