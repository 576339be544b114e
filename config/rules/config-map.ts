// Rules of ConfigMap: those that hold settings of the mesh hold sound ones.
import type { Diagnostic } from '../diagnostic.ts';
import type { ConfigMap } from '../kinds/config-map.ts';
import { parseMeshConfig, parseMeshNetworks } from '../mesh.ts';
import type { Findings } from './finding.ts';

/** Checks the keys `mesh` and `meshNetworks` of the ConfigMaps `istio`, `istio-<revision>` and the shared one. */
export function checkConfigMap({ metadata, data }: ConfigMap, shared?: string): Findings {
  if (metadata.name !== 'istio' && !metadata.name.startsWith('istio-') && metadata.name !== shared) return [];
  const { mesh, meshNetworks } = data ?? {};
  return [
    ...(mesh === undefined ? [] : within('data.mesh', parseMeshConfig(mesh).diagnostics)),
    ...(meshNetworks === undefined ? [] : within('data.meshNetworks', parseMeshNetworks(meshNetworks).diagnostics)),
  ];
}

/** A finding about a text inside the object is one about the field that holds the text. */
function within(field: string, findings: readonly Diagnostic[]): Findings {
  return findings.map(({ position, path, message, ...finding }) => {
    const place = path === undefined || path === '' ? '' : `${path}: `;
    const line = position === undefined || place !== '' ? '' : `line ${position.line}: `;
    return { ...finding, path: field, message: `${line}${place}${message}` };
  });
}
