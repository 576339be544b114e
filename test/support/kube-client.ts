// A small REST client of the Kubernetes API for tests: the requests of kubectl, without its library.
import { Agent, request } from 'node:https';
import { parseAllDocuments } from 'yaml';
import { waitFor } from './wait.ts';

/** A Kubernetes object as a test writes or reads it. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

export interface KubeAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test reaches into objects of every kind
  readonly body: any;
}

/** The API server answered with an error; `status` is HTTP's, `reason` is Kubernetes' (`NotFound`, `Invalid`, …). */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly status: number;
  readonly reason: string;
  constructor(what: string, answer: KubeAnswer) {
    super(`${what}: ${answer.status} ${answer.body?.message ?? JSON.stringify(answer.body)}`);
    this.status = answer.status;
    this.reason = String(answer.body?.reason ?? '');
  }
}

interface Resource {
  readonly plural: string;
  readonly namespaced: boolean;
}

/** Talks to one API server as one user. `close()` ends its connections. */
export class KubeClient implements Disposable {
  readonly url: string;
  readonly #ca: string;
  readonly #token: string;
  readonly #agent: Agent;
  readonly #resources = new Map<string, Resource>();

  constructor(options: { readonly url: string; readonly ca: string; readonly token: string }) {
    this.url = options.url;
    this.#ca = options.ca;
    this.#token = options.token;
    this.#agent = new Agent({ keepAlive: true, ca: options.ca });
  }

  /** The same server as another user, such as a service account with exactly the rights under test. */
  as(token: string): KubeClient {
    return new KubeClient({ url: this.url, ca: this.#ca, token });
  }

  /** One request; an error status is an answer here, not thrown. PATCH bodies are server-side apply unless told. */
  request(method: string, path: string, body?: unknown, contentType?: string): Promise<KubeAnswer> {
    const data = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const type = contentType ?? (method === 'PATCH' ? 'application/apply-patch+yaml' : 'application/json');
    return new Promise((resolve, reject) => {
      const headers: Record<string, string> = { authorization: `Bearer ${this.#token}`, accept: 'application/json' };
      if (data !== undefined) Object.assign(headers, { 'content-type': type, 'content-length': String(data.length) });
      const call = request(`${this.url}${path}`, { method, headers, agent: this.#agent, timeout: 60_000 }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          resolve({ status: answer.statusCode ?? 0, body: parsed(text) });
        });
      });
      call.on('timeout', () => call.destroy(new Error(`${method} ${path} timed out`)));
      call.on('error', reject);
      call.end(data);
    });
  }

  // biome-ignore lint/suspicious/noExplicitAny: see KubeAnswer
  async #expect(method: string, path: string, body?: unknown, contentType?: string): Promise<any> {
    const answer = await this.request(method, path, body, contentType);
    if (answer.status < 200 || answer.status > 299) throw new KubeError(`${method} ${path}`, answer);
    return answer.body;
  }

  /** Server-side apply, which creates or changes; throws KubeError. Gives the object as stored. */
  async apply(object: KubeObject): Promise<KubeObject> {
    return this.#expect('PATCH', `${await this.pathOf(object)}?fieldManager=test&force=true`, object);
  }

  /** Applies in order; a kind whose definition was applied just before is waited for. */
  async applyAll(objects: Iterable<KubeObject>): Promise<void> {
    for (const object of objects) await this.apply(object);
  }

  /** Applies each document of a YAML text in order. */
  async applyYaml(text: string): Promise<void> {
    const objects = parseAllDocuments(text).map((document) => document.toJS() as KubeObject | undefined);
    await this.applyAll(objects.filter((object) => object !== undefined && object !== null));
  }

  /** Sets the status, where the kind has the subresource (pods, nodes, CRDs with one). */
  async applyStatus(object: KubeObject): Promise<KubeObject> {
    return this.#expect('PATCH', `${await this.pathOf(object)}/status?fieldManager=test-status&force=true`, object);
  }

  /** Creates; throws KubeError where it exists. */
  async create(object: KubeObject, options: { readonly dryRun?: boolean } = {}): Promise<KubeObject> {
    const path = (await this.pathOf(object)).replace(/\/[^/]*$/, '');
    return this.#expect('POST', options.dryRun === true ? `${path}?dryRun=All` : path, object);
  }

  async get(object: KubeObject): Promise<KubeObject> {
    return this.#expect('GET', await this.pathOf(object));
  }

  /** The items of a list path, such as `/api/v1/pods`. */
  async list(path: string): Promise<readonly KubeObject[]> {
    return (await this.#expect('GET', path)).items;
  }

  /** JSON merge patch. */
  async merge(object: KubeObject, patch: unknown): Promise<KubeObject> {
    return this.#expect('PATCH', await this.pathOf(object), patch, 'application/merge-patch+json');
  }

  /** Deletes at once (no grace period); an object that is not there is no error. */
  async delete(object: KubeObject): Promise<void> {
    const path = await this.pathOf(object);
    const answer = await this.request('DELETE', `${path}?gracePeriodSeconds=0&propagationPolicy=Background`);
    if (answer.status >= 300 && answer.status !== 404) throw new KubeError(`DELETE ${path}`, answer);
  }

  /** A token of a service account, as the kubelet projects it into a pod. */
  async createToken(options: {
    readonly namespace: string;
    readonly serviceAccount: string;
    readonly audiences?: readonly string[];
    readonly seconds?: number;
    /** Binds the token to the pod, whose name and uid are then in it. */
    readonly pod?: { readonly name: string; readonly uid: string };
  }): Promise<string> {
    const path = `/api/v1/namespaces/${options.namespace}/serviceaccounts/${options.serviceAccount}/token`;
    const spec = {
      audiences: options.audiences ?? ['istio-ca'],
      expirationSeconds: options.seconds ?? 3600,
      ...(options.pod === undefined ? {} : { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', ...options.pod } }),
    };
    const answer = await this.#expect('POST', path, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec,
    });
    return answer.status.token;
  }

  /** The path of an object; discovers its kind first, and waits up to 10 s for a kind that is not served yet. */
  async pathOf(object: KubeObject): Promise<string> {
    const { apiVersion, kind, metadata } = object;
    const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const key = `${apiVersion} ${kind}`;
    const discover = async () => {
      if (!this.#resources.has(key)) await this.#discover(group, apiVersion);
      return this.#resources.get(key);
    };
    const resource = await waitFor(`the API server to serve ${key}`, discover, { timeoutMs: 10_000 });
    const folder = resource.namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : '';
    return `${group}${folder}/${resource.plural}/${encodeURIComponent(metadata.name)}`;
  }

  close(): void {
    this.#agent.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #discover(group: string, apiVersion: string): Promise<void> {
    const answer = await this.request('GET', group);
    if (answer.status !== 200) return;
    for (const { name, kind, namespaced } of answer.body.resources) {
      if (!name.includes('/')) this.#resources.set(`${apiVersion} ${kind}`, { plural: name, namespaced });
    }
  }
}

// biome-ignore lint/suspicious/noExplicitAny: see KubeAnswer
function parsed(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
