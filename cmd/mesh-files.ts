// Mesh configuration from files (--meshConfig), and how ConfigMaps with mesh configuration are checked.
import { access } from 'node:fs/promises';
import { besideMeshFiles, startMeshFiles } from '../config/sources/mesh-files.ts';
import type { CheckObject, SourceSink } from '../config/sources/source.ts';
import { validate } from '../config/validate.ts';
import type { ControlPlane } from './compose.ts';
import type { Logger } from './log.ts';
import type { Settings } from './settings.ts';

/** Followed files, or none. */
export interface MeshFiles extends AsyncDisposable {
  /** The sink for the other source: without the ConfigMap whose place the files take. */
  readonly besides: (sink: SourceSink) => SourceSink;
}

/** Follows them where the file is there now, as istiod does; else the ConfigMap counts. Call it before other sources. */
export async function openMeshFiles({ settings, store }: ControlPlane, log: Logger): Promise<MeshFiles> {
  const { meshConfigFile: mesh, networksConfigFile: networks, systemNamespace: namespace, revision } = settings;
  const isThere = await access(mesh).then(
    () => true,
    () => false,
  );
  if (!isThere) return { besides: (sink) => sink, [Symbol.asyncDispose]: async () => undefined };
  const name = revision === '' || revision === 'default' ? 'istio' : `istio-${revision}`;
  const configMap = { namespace, name };
  log.info({ mesh, networks }, `mesh configuration comes from files, not from ConfigMap ${namespace}/${name}`);
  const source = await startMeshFiles({ mesh, networks, configMap, now: Date.now }, store.sinkOf('mesh files'));
  return {
    besides: (sink) => besideMeshFiles(sink, configMap),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

/** The check of a source, for the settings' revision; `unknown` says how fields count that no schema has. */
export function checkBy(
  { sharedMeshConfig, revision }: Pick<Settings, 'sharedMeshConfig' | 'revision'>,
  unknown: 'error' | 'warning' = 'error',
): CheckObject {
  return (raw) => validate(raw, { unknown, revision, ...(sharedMeshConfig === undefined ? {} : { sharedMeshConfig }) });
}
