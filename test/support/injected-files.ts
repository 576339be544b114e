// The files of an injected pod's proxy, as the kubelet mounts them: a test has no container to put them into.
import { join } from 'node:path';
import type { JsonObject } from '../../webhook/json.ts';
import type { Container, Pod } from '../../webhook/pod.ts';
import { MountedFolder } from './mounted-folder.ts';

/** What the cluster would give. */
export interface MountSources {
  /** Their data by name. */
  readonly configMaps: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** The projected token. */
  readonly token: string;
}

/** A text of the pod in which paths below its mounts are those of the test's folder. */
export type MountedText = (text: string) => string;

/**
 * Writes what the volumes mounted into the container hold, below `folder`. Throws for a volume that this does not know:
 * its files would be missing.
 */
export async function mountFiles(
  pod: Pod,
  container: Container,
  folder: string,
  sources: MountSources,
): Promise<MountedText> {
  const mounts = container.volumeMounts ?? [];
  const moved: MountedText = (text) =>
    mounts.reduce((all, { mountPath }) => all.replaceAll(mountPath, join(folder, mountPath)), text);
  for (const { name, mountPath } of mounts) {
    const { name: _, ...volume } = pod.spec?.volumes?.find((each) => each.name === name) ?? { name };
    const files = Object.entries(filesOf(volume, pod, sources)).map(([file, text]) => [file, moved(text)] as const);
    await new MountedFolder(join(folder, mountPath)).write(Object.fromEntries(files));
  }
  return moved;
}

function filesOf(source: JsonObject, pod: Pod, from: MountSources): Readonly<Record<string, string>> {
  const { configMap, projected, serviceAccountToken, downwardAPI } = source as {
    readonly configMap?: { readonly name: string };
    readonly projected?: { readonly sources: readonly JsonObject[] };
    readonly serviceAccountToken?: { readonly path: string };
    readonly downwardAPI?: {
      readonly items: readonly { readonly path: string; readonly fieldRef: { readonly fieldPath: string } }[];
    };
  };
  if (projected !== undefined) return Object.assign({}, ...projected.sources.map((one) => filesOf(one, pod, from)));
  if (serviceAccountToken !== undefined) return { [serviceAccountToken.path]: from.token };
  const data = configMap === undefined ? undefined : from.configMaps[configMap.name];
  if (data !== undefined) return data;
  if (downwardAPI === undefined) throw new Error(`what is in ${JSON.stringify(source)}?`);
  const entries = downwardAPI.items.map(({ path, fieldRef: { fieldPath } }) => {
    const annotation = /^metadata\.annotations\['(.*)'\]$/.exec(fieldPath)?.[1] ?? fieldPath;
    return [path, pod.metadata?.annotations?.[annotation] ?? ''] as const;
  });
  return Object.fromEntries(entries);
}
