// Who we are by a kubeconfig: the chosen context and no other, plugins run once, files merged as kubectl does, clear errors.
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PeerCertificate } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inClusterAccess, kubeconfigAccess } from './kube-config.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kubeconfig-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, content: unknown): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

/** A kubeconfig with a cluster, a user and a context for each name; the first is the current one. */
function config(users: Readonly<Record<string, object>>, cluster: object = {}): object {
  const names = Object.keys(users);
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': names[0],
    contexts: names.map((name) => ({ name, context: { cluster: name, user: name } })),
    clusters: names.map((name) => ({ name, cluster: { server: `https://${name}.example.com`, ...cluster } })),
    users: Object.entries(users).map(([name, user]) => ({ name, user })),
  };
}

const version = 'client.authentication.k8s.io/v1';

/** A plugin that gives what its answer file holds, counts its runs, and keeps what it was told. */
class FakePlugin {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
  async install(status: object): Promise<this> {
    const script = `#!/bin/sh
echo run >> '${folder}/${this.name}.runs'
printf '%s' "$KUBERNETES_EXEC_INFO" > '${folder}/${this.name}.info'
printf '%s' "$1 $EXTRA" > '${folder}/${this.name}.args'
sleep 0.1
cat '${folder}/${this.name}.answer'
`;
    await chmod(await file(this.name, script), 0o755);
    await this.give(status);
    return this;
  }
  give(status: object): Promise<string> {
    return this.write({ apiVersion: version, kind: 'ExecCredential', status });
  }
  write(answer: unknown): Promise<string> {
    return file(`${this.name}.answer`, answer);
  }
  user(more: object = {}): object {
    return { exec: { apiVersion: version, command: `./${this.name}`, env: null, ...more } };
  }
  async runs(): Promise<number> {
    const text = await readFile(join(folder, `${this.name}.runs`), 'utf8').catch(() => '');
    return text.split('\n').length - 1;
  }
  async kept(what: 'info' | 'args'): Promise<string> {
    return readFile(join(folder, `${this.name}.${what}`), 'utf8');
  }
}

const env = { PATH: process.env['PATH'] };

describe('exec plugins', () => {
  test('the token of another context goes to no cluster', async () => {
    const one = await new FakePlugin('one').install({ token: 'token-of-one' });
    const two = await new FakePlugin('two').install({ token: 'token-of-two' });
    const path = await file('config', config({ one: one.user(), two: two.user() }));
    const access = await kubeconfigAccess(path, { context: 'two', env });
    expect(access.server).toBe('https://two.example.com');
    expect(await access.credential()).toEqual({ authorization: 'Bearer token-of-two' });
    expect(await one.runs()).toBe(0);
  });

  test('one run serves all requests until the credential ends', async () => {
    let now = Date.parse('2026-01-01T00:00:00Z');
    const plugin = await new FakePlugin('plugin').install({ token: 'a', expirationTimestamp: '2026-01-01T01:00:00Z' });
    const access = await kubeconfigAccess(await file('config', config({ one: plugin.user() })), {
      env,
      now: () => now,
    });
    const all = await Promise.all(Array.from({ length: 20 }, () => access.credential()));
    expect(new Set(all.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer a']));
    now += 59 * 60_000;
    await access.credential();
    expect(await plugin.runs()).toBe(1);
    await plugin.give({ token: 'b' });
    now += 55_000;
    expect(await access.credential()).toEqual({ authorization: 'Bearer b' });
    now += 24 * 3_600_000;
    await access.credential();
    expect(await plugin.runs()).toBe(2);
  });

  test('a credential that the server refuses is replaced, at most once a second', async () => {
    let now = 0;
    const plugin = await new FakePlugin('plugin').install({ token: 'a' });
    const access = await kubeconfigAccess(await file('config', config({ one: plugin.user() })), {
      env,
      now: () => now,
    });
    await access.credential();
    await plugin.give({ token: 'b' });
    access.refused();
    expect(await access.credential()).toEqual({ authorization: 'Bearer a' });
    now += 1_000;
    expect(await access.credential()).toEqual({ authorization: 'Bearer b' });
    expect(await plugin.runs()).toBe(2);
  });

  test('certificate and key of the plugin are taken, and it is told of the cluster only where it asks', async () => {
    const plugin = await new FakePlugin('plugin').install({ clientCertificateData: 'CERT', clientKeyData: 'KEY' });
    const user = plugin.user({
      provideClusterInfo: true,
      args: ['first'],
      env: [{ name: 'EXTRA', value: 'more' }],
    });
    const ca = Buffer.from('ROOT').toString('base64');
    const path = await file('config', config({ one: user, two: plugin.user() }, { 'certificate-authority-data': ca }));
    expect(await (await kubeconfigAccess(path, { env })).credential()).toEqual({ cert: 'CERT', key: 'KEY' });
    expect(await plugin.kept('args')).toBe('first more');
    expect(JSON.parse(await plugin.kept('info'))).toEqual({
      apiVersion: version,
      kind: 'ExecCredential',
      spec: { interactive: false, cluster: { server: 'https://one.example.com', 'certificate-authority-data': ca } },
    });
    await (await kubeconfigAccess(path, { env, context: 'two' })).credential();
    expect(JSON.parse(await plugin.kept('info')).spec).toEqual({ interactive: false });
  });

  test('what fails says why, without what the plugin wrote, and is not run for each request', async () => {
    const plugin = await new FakePlugin('plugin').install({});
    const access = await kubeconfigAccess(await file('config', config({ one: plugin.user() })), { env, now: () => 0 });
    await expect(access.credential()).rejects.toThrow('neither a token nor a certificate');
    await expect(access.credential()).rejects.toThrow('neither a token nor a certificate');
    expect(await plugin.runs()).toBe(1);
    const failures = [
      ['secret-token', /did not write an ExecCredential of client\.authentication\.k8s\.io\/v1$/],
      [{ kind: 'ExecCredential', apiVersion: 'x', status: { token: 'secret-token' } }, /did not write an ExecCred/],
    ] as const;
    for (const [answer, message] of failures) {
      await plugin.write(answer);
      const again = await kubeconfigAccess(join(folder, 'config'), { env });
      await expect(again.credential()).rejects.toThrow(message);
      await expect(again.credential()).rejects.not.toThrow('secret-token');
    }
    await file('plugin', '#!/bin/sh\necho not logged in >&2\necho secret-token\nexit 3\n');
    await expect((await kubeconfigAccess(join(folder, 'config'), { env })).credential()).rejects.toThrow(
      /^the exec plugin \.\/plugin: ended with exit code 3: not logged in$/,
    );
    const absent = { exec: { apiVersion: version, command: 'no-such-plugin', installHint: 'get it there' } };
    await expect(
      (await kubeconfigAccess(await file('other', config({ one: absent })), { env })).credential(),
    ).rejects.toThrow('no-such-plugin: there is no such command\nget it there');
  });

  test.each([
    [{ interactiveMode: 'Always' }, /wants a terminal/],
    [{ apiVersion: 'client.authentication.k8s.io/v1alpha1' }, /apiVersion must be/],
  ])('%o is refused', async (more, message) => {
    const path = await file('config', config({ one: new FakePlugin('plugin').user(more) }));
    await expect(kubeconfigAccess(path, { env })).rejects.toThrow(message);
  });
});

describe('other credentials', () => {
  test('token files are read anew after a minute, or when they are refused', async () => {
    let now = 0;
    await file('token', 'one\n');
    const path = await file('config', config({ one: { tokenFile: 'token' } }));
    const access = await kubeconfigAccess(path, { now: () => now });
    expect(await access.credential()).toEqual({ authorization: 'Bearer one' });
    await file('token', 'two\n');
    expect(await access.credential()).toEqual({ authorization: 'Bearer one' });
    now += 61_000;
    expect(await access.credential()).toEqual({ authorization: 'Bearer two' });
    await file('token', 'three\n');
    access.refused();
    expect(await access.credential()).toEqual({ authorization: 'Bearer three' });
  });

  test('client certificates are read beside the file that names them', async () => {
    await file('cert.pem', 'CERT');
    const user = { 'client-certificate': 'cert.pem', 'client-key-data': Buffer.from('KEY').toString('base64') };
    const access = await kubeconfigAccess(await file('config', config({ one: user })));
    expect(await access.credential()).toEqual({ cert: 'CERT', key: 'KEY' });
  });

  test('an auth-provider speaks for the chosen context only', async () => {
    const claims = Buffer.from(JSON.stringify({ exp: 4_000_000_000 })).toString('base64url');
    const provider = (name: string) => ({
      'auth-provider': { name: 'oidc', config: { 'id-token': `e30.${claims}.${name}` } },
    });
    const path = await file('config', config({ one: provider('one'), two: provider('two') }));
    const access = await kubeconfigAccess(path, { context: 'two' });
    expect(await access.credential()).toEqual({ authorization: `Bearer e30.${claims}.two` });
  });

  test('a pod’s token', async () => {
    await file('ca.crt', 'ROOT');
    await file('token', 'pod-token\n');
    const access = await inClusterAccess({ KUBERNETES_SERVICE_HOST: 'fd00::1' }, folder);
    expect([access.server, access.tls, await access.credential()]).toEqual([
      'https://[fd00::1]:443',
      { ca: 'ROOT' },
      { authorization: 'Bearer pod-token' },
    ]);
  });
});

describe('several files', () => {
  test('the first to name something wins, paths belong to their file, and absent files are left out', async () => {
    await mkdir(join(folder, 'sub'));
    await file('sub/token', 'from-sub');
    const first = await file('first', {
      'current-context': 'b',
      ...{ users: [{ name: 'a', user: { token: 'first' } }] },
    });
    const second = await file('sub/second', config({ a: { token: 'second' }, b: { tokenFile: 'token' } }));
    const paths = [join(folder, 'absent'), first, second];
    const b = await kubeconfigAccess(paths);
    expect([b.server, await b.credential()]).toEqual(['https://b.example.com', { authorization: 'Bearer from-sub' }]);
    const a = await kubeconfigAccess(paths, { context: 'a' });
    expect(await a.credential()).toEqual({ authorization: 'Bearer first' });
  });

  test('where none is there, all are named', async () => {
    const paths = [join(folder, 'x'), join(folder, 'y')];
    await expect(kubeconfigAccess(paths, { named: 'KUBECONFIG' })).rejects.toThrow(
      `KUBECONFIG: there is no ${folder}/x and no ${folder}/y`,
    );
  });
});

describe('what is wrong is told by its place', () => {
  const user = (fields: object) => ({ clusters: [], users: [{ name: 'one', user: fields }] });
  test.each<[string, unknown, string]>([
    ['an empty file', '', '--kubeconfig FILE: the file is empty'],
    ['only comments', '# nothing\n', '--kubeconfig FILE: the file is empty'],
    ['broken YAML', 'kind: Config\nusers: [}\n', '--kubeconfig FILE:2:9: '],
    ['another kind', { kind: 'Secret' }, '--kubeconfig FILE: this is no kubeconfig (kind: Config)'],
    ['a list', '- a\n', '--kubeconfig FILE: this is no kubeconfig (kind: Config)'],
    ['no context', { kind: 'Config' }, '--kubeconfig FILE: there is no current-context'],
    ['an unknown context', { 'current-context': 'x' }, '--kubeconfig FILE: there is no context "x"'],
    ['a context without cluster', { ...config({ one: {} }), clusters: [] }, 'FILE: context "one" names no cluster'],
    ['a context without user', { ...config({ one: {} }), users: [] }, 'FILE: there is no user "one"'],
    ['a list that is none', 'current-context: a\ncontexts: 7\n', 'FILE:2:1: contexts must be a list'],
    [
      'an entry that is none',
      'current-context: a\ncontexts:\n- name: a\n  context: 7\n',
      'FILE:4:3: context must be a map',
    ],
    ['plain HTTP', config({ one: {} }, { server: 'http://x' }), 'the server must begin with https://'],
    ['a proxy', config({ one: {} }, { 'proxy-url': 'http://x' }), 'proxy-url is not supported'],
    ['impersonation', config({ one: { as: 'admin' } }), 'as is not supported'],
    ['a token of another type', config({ one: { token: 7 } }), 'token must be text'],
    ['a plugin without a command', config({ one: { exec: {} } }), 'exec must name a command'],
    [
      'arguments that are none',
      config({ one: { exec: { command: 'x', args: 'y' } } }),
      'exec.args is not as Kubernetes',
    ],
    ['certificates that are absent', config({ one: { 'client-certificate': 'absent.pem' } }), 'absent.pem'],
    ['users that do not matter', { ...config({ one: {} }), ...user({ token: 7 }) }, 'names no cluster with a server'],
  ])('%s', async (_what, content, message) => {
    const path = await file('config', content);
    await expect(kubeconfigAccess(path)).rejects.toThrow(message.replace('FILE', path));
  });

  test('a file that is not there, with the flag that named it', async () => {
    await expect(kubeconfigAccess('/nonexistent/config')).rejects.toThrow(
      '--kubeconfig /nonexistent/config: there is no such file',
    );
  });

  test('no message quotes a credential', async () => {
    const path = await file('config', 'users:\n- name: a\n  user: {token: secret} secret-token\n');
    await expect(kubeconfigAccess(path)).rejects.toThrow(`${path}:3:`);
    await expect(kubeconfigAccess(path)).rejects.not.toThrow('secret-token');
  });
});

describe('the name of the server', () => {
  const tlsOf = async (name: string) => {
    const path = await file('config', config({ one: {} }, { 'tls-server-name': name }));
    return (await kubeconfigAccess(path)).tls;
  };

  test('is asked for and checked where it is one', async () => {
    expect(await tlsOf('api.example.com')).toEqual({ servername: 'api.example.com' });
  });

  test('is only looked for in the certificate where it is an address', async () => {
    const { servername, checkServerIdentity } = await tlsOf('10.0.0.1');
    expect(servername).toBeUndefined();
    const certificate = (address: string) =>
      ({ subject: {}, subjectaltname: `IP Address:${address}` }) as PeerCertificate;
    expect(checkServerIdentity?.('api.example.com', certificate('10.0.0.1'))).toBeUndefined();
    expect(checkServerIdentity?.('10.0.0.2', certificate('10.0.0.2'))).toBeInstanceOf(Error);
  });
});
