// As much of the Kubernetes API as meshload writes to, kept as a folder of YAML: for measuring the control plane on files.
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** The running server and how to reach it. */
export interface FolderApi extends AsyncDisposable {
  readonly url: string;
  /** Writes what was created since the last call; a patch writes at once. */
  flush(): Promise<void>;
}

type Fields = Record<string, unknown>;

interface Stored {
  readonly file: string;
  readonly object: Fields;
}

const kinds: Readonly<Record<string, string>> = {
  namespaces: 'Namespace',
  services: 'Service',
  serviceaccounts: 'ServiceAccount',
  pods: 'Pod',
  endpointslices: 'EndpointSlice',
  virtualservices: 'VirtualService',
  destinationrules: 'DestinationRule',
  sidecars: 'Sidecar',
};

/** Serves POST (create) and PATCH (JSON merge patch) into files of `folder`, one file for each service. */
export async function startFolderApi(folder: string): Promise<FolderApi> {
  const store = new FolderStore(folder);
  const server = createServer((incoming, outgoing) => {
    answer(store, incoming, outgoing).catch((error: unknown) => {
      outgoing.writeHead(500).end(JSON.stringify({ message: String(error) }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    flush: () => store.flush(),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function answer(store: FolderStore, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  let text = '';
  for await (const chunk of incoming) text += chunk;
  const body = JSON.parse(text) as Fields;
  const path = (incoming.url ?? '/').split('/').filter((part) => part !== '');
  if (incoming.method === 'POST') store.create(path, body);
  else await store.patch(path, body);
  outgoing.writeHead(200, { 'content-type': 'application/json' }).end('{}');
}

class FolderStore {
  readonly #folder: string;
  readonly #objects = new Map<string, Stored>();
  readonly #dirty = new Set<string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** `path` is that of the collection. */
  create(path: readonly string[], body: Fields): void {
    const plural = path.at(-1) ?? '';
    const [apiVersion, rest] = path[0] === 'api' ? ['v1', path.slice(2)] : [`${path[1]}/${path[2]}`, path.slice(3)];
    const namespace = rest.length > 1 ? { namespace: rest[1] } : {};
    const metadata = { ...(body['metadata'] as Fields), ...namespace };
    const name = String(metadata['name' as keyof typeof metadata]);
    const key = [...path, name].join('/');
    if (this.#objects.has(key)) return;
    // Pods and EndpointSlices are named after their service, with a number behind.
    const service = ['pods', 'endpointslices'].includes(plural) ? name.replace(/-\d+$/, '') : name;
    const file = rest.length > 1 ? join(String(rest[1]), `${service}.yaml`) : 'namespaces.yaml';
    this.#objects.set(key, { file, object: { apiVersion, kind: kinds[plural], ...body, metadata } });
    this.#dirty.add(file);
  }

  /** `path` is that of the object, with or without `status`. */
  async patch(path: readonly string[], body: Fields): Promise<void> {
    const key = (path.at(-1) === 'status' ? path.slice(0, -1) : path).join('/');
    const stored = this.#objects.get(key);
    if (stored === undefined) throw new Error(`there is no ${key}`);
    const { file, object } = stored;
    this.#objects.set(key, { file, object: merged(object, body) as Fields });
    if (path.at(-1) === 'status') this.#dirty.add(file);
    else await this.#write([file]);
  }

  async flush(): Promise<void> {
    await this.#write([...this.#dirty]);
    this.#dirty.clear();
  }

  async #write(files: readonly string[]): Promise<void> {
    const wanted = new Set(files);
    const texts = new Map<string, string>();
    for (const { file, object } of this.#objects.values()) {
      if (wanted.has(file)) texts.set(file, `${texts.get(file) ?? ''}---\n${JSON.stringify(object)}\n`);
    }
    for (const [file, text] of texts) {
      const path = join(this.#folder, file);
      await mkdir(join(path, '..'), { recursive: true });
      await writeFile(path, text);
    }
  }
}

/** JSON merge patch (RFC 7396). */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const out: Fields = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete out[name];
    else out[name] = merged(out[name], value);
  }
  return out;
}
