import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { CredentialsError } from '../../src/kubernetes/connection-facts.ts';
import { Credentials, loadCredentials } from '../../src/kubernetes/credentials.ts';

let folder: string;
let nowMs: number;
const clock = { ...systemClock, nowMs: () => nowMs };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heartbeat-operator-credentials-'));
  nowMs = 0;
});
afterEach(() => rm(folder, { recursive: true }));

const write = (name: string, text: string) => writeFile(join(folder, name), text);
const inFolder = (name: string) => join(folder, name);

describe('in a Pod, the credentials', () => {
  const environment = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '6443' };
  const load = (more: Record<string, string> = {}) =>
    loadCredentials({ clock, environment: { ...environment, ...more }, serviceAccountFolder: folder });

  beforeEach(async () => {
    await write('token', 'token-1\n');
    await write('ca.crt', 'CA 1');
    await write('namespace', 'team');
  });

  it('are those of the service account', async () => {
    const credentials = await load();
    expect(await credentials.current()).toEqual({
      server: 'https://10.0.0.1:6443',
      proxyUrl: undefined,
      tls: { ca: 'CA 1' },
      headers: { authorization: 'Bearer token-1' },
      namespace: 'team',
    });
  });

  it('name a server with an IPv6 address as a URL does', async () => {
    const credentials = await load({ KUBERNETES_SERVICE_HOST: 'fd00::1' });
    expect((await credentials.current()).server).toBe('https://[fd00::1]:6443');
  });

  it('follow a rotated token and CA bundle after a minute', async () => {
    const credentials = await load();
    await write('token', 'token-2');
    await write('ca.crt', 'CA 1 and CA 2');
    nowMs = 59_999;
    expect((await credentials.current()).headers['authorization']).toBe('Bearer token-1');
    nowMs = 60_000;
    expect(await credentials.current()).toMatchObject({
      headers: { authorization: 'Bearer token-2' },
      tls: { ca: 'CA 1 and CA 2' },
    });
  });

  it('follow a rotated token at once when the old one was refused', async () => {
    const credentials = await load();
    await write('token', 'token-2');
    expect((await credentials.renew()).headers['authorization']).toBe('Bearer token-2');
    expect((await credentials.current()).headers['authorization']).toBe('Bearer token-2');
  });

  it('stay as they are while a file is missing', async () => {
    const credentials = await load();
    const before = await credentials.current();
    await rm(inFolder('token'));
    nowMs = 60_000;
    expect(await credentials.current()).toBe(before);
    await write('token', 'token-2');
    nowMs = 120_000;
    expect((await credentials.current()).headers['authorization']).toBe('Bearer token-2');
  });

  it('cannot be used when the CA bundle is not mounted', async () => {
    await rm(inFolder('ca.crt'));
    await expect(load()).rejects.toThrow(
      new CredentialsError(`cannot read ${inFolder('ca.crt')}: mount the service account's token into the Pod`),
    );
  });

  it('are not asked for when KUBECONFIG names a file', async () => {
    await write('kubeconfig', kubeconfig());
    const credentials = await load({ KUBECONFIG: inFolder('kubeconfig') });
    expect((await credentials.current()).server).toBe('https://127.0.0.1:6443');
  });
});

const loadKubeconfig = (environment: Record<string, string> = { KUBECONFIG: inFolder('kubeconfig') }) =>
  loadCredentials({ clock, environment, serviceAccountFolder: inFolder('none') });

describe('the credentials of a kubeconfig', () => {
  it('are those of the current context', async () => {
    await write('kubeconfig', kubeconfig());
    expect(await (await loadKubeconfig()).current()).toEqual({
      server: 'https://127.0.0.1:6443',
      proxyUrl: undefined,
      tls: { ca: 'CA' },
      headers: { authorization: 'Bearer secret' },
      namespace: 'team',
    });
  });

  it('are found in the home folder', async () => {
    await mkdir(inFolder('.kube'));
    await write('.kube/config', kubeconfig());
    const credentials = await loadKubeconfig({ HOME: folder });
    expect((await credentials.current()).namespace).toBe('team');
  });

  it('may be spread over several files, of which the first one with a current context decides', async () => {
    const { clusters, users, contexts, ...rest } = parts();
    await write('one', JSON.stringify({ apiVersion: 'v1', kind: 'Config', clusters }));
    await write('two', JSON.stringify({ ...rest, users, contexts }));
    await write('three', JSON.stringify({ apiVersion: 'v1', kind: 'Config', 'current-context': 'other' }));
    const files = ['one', 'two', 'three'].map(inFolder).join(':');
    expect((await (await loadKubeconfig({ KUBECONFIG: files })).current()).server).toBe('https://127.0.0.1:6443');
  });

  it('name client certificates by file, relative to the kubeconfig, and follow when they change', async () => {
    await write('client.crt', 'CERT 1');
    await write('client.key', 'KEY 1');
    await write('kubeconfig', kubeconfig({ 'client-certificate': 'client.crt', 'client-key': 'client.key' }));
    const credentials = await loadKubeconfig();
    expect((await credentials.current()).tls).toEqual({ ca: 'CA', cert: 'CERT 1', key: 'KEY 1' });
    await write('client.crt', 'CERT 2');
    await write('client.key', 'KEY 2');
    nowMs = 60_000;
    expect((await credentials.current()).tls).toEqual({ ca: 'CA', cert: 'CERT 2', key: 'KEY 2' });
  });

  it('follow when the file is written anew', async () => {
    await write('kubeconfig', kubeconfig());
    const credentials = await loadKubeconfig();
    await write('kubeconfig', kubeconfig({ token: 'other' }));
    nowMs = 60_000;
    expect((await credentials.current()).headers).toEqual({ authorization: 'Bearer other' });
  });

  it('can skip the check of the server certificate and name the server otherwise', async () => {
    const cluster = {
      'insecure-skip-tls-verify': true,
      'tls-server-name': 'kubernetes',
      'proxy-url': 'http://proxy:8080',
    };
    await write('kubeconfig', kubeconfig({}, cluster));
    expect(await (await loadKubeconfig()).current()).toMatchObject({
      proxyUrl: 'http://proxy:8080',
      tls: { rejectUnauthorized: false, servername: 'kubernetes' },
    });
  });

  it('may come from a credential plugin, which runs again only when its token was refused', async () => {
    await write('count', '0');
    const script = `
      const fs = require('node:fs');
      const file = ${JSON.stringify(inFolder('count'))};
      const count = Number(fs.readFileSync(file, 'utf8')) + 1;
      fs.writeFileSync(file, String(count));
      console.log(JSON.stringify({ kind: 'ExecCredential', status: { token: 'token-' + count } }));`;
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: process.execPath, args: ['-e', script] };
    await write('kubeconfig', kubeconfig({ exec }));
    const credentials = await loadKubeconfig();
    expect((await credentials.current()).headers).toEqual({ authorization: 'Bearer token-1' });
    nowMs = 60_000;
    expect((await credentials.current()).headers).toEqual({ authorization: 'Bearer token-1' });
    const renewed = await Promise.all([credentials.renew(), credentials.renew(), credentials.renew()]);
    expect(renewed.map((facts) => facts.headers['authorization'])).toEqual(Array(3).fill('Bearer token-2'));
    nowMs = 64_999;
    expect((await credentials.renew()).headers).toEqual({ authorization: 'Bearer token-2' });
    nowMs = 65_000;
    expect((await credentials.renew()).headers).toEqual({ authorization: 'Bearer token-3' });
  });

  it.each<[string, string, RegExp]>([
    ['is not there', '', /^cannot read the kubeconfig \S+ \(ENOENT.*\): correct \$KUBECONFIG or create the file$/],
    ['is not YAML', 'a: [', /^cannot use the kubeconfig \S+: .*$/],
    ['is empty', '# nothing', /^cannot use the kubeconfig \S+: .*$/],
    [
      'chooses no context',
      JSON.stringify({ ...parts(), 'current-context': '' }),
      /has no current context: choose one with/,
    ],
    [
      'chooses an unknown context',
      JSON.stringify({ ...parts(), 'current-context': 'x' }),
      /does not define the context of its current context "x"$/,
    ],
    ['has no such cluster', JSON.stringify({ ...parts(), clusters: [] }), /does not define the cluster of/],
    ['has no such user', JSON.stringify({ ...parts(), users: [] }), /does not define the user of/],
    ['names no URL', kubeconfig({}, { server: '127.0.0.1' }), /names the server "127.0.0.1", which is not a URL$/],
    [
      'names a plain server',
      kubeconfig({}, { server: 'http://127.0.0.1' }),
      /^cannot use the credentials of .*: HTTP protocol is not allowed/,
    ],
    [
      'names a CA file that is not there',
      kubeconfig({}, { 'certificate-authority': 'no-ca', 'certificate-authority-data': undefined }),
      /^cannot use the credentials of .*no-ca/,
    ],
    [
      'runs a plugin that is not there',
      kubeconfig({ exec: { command: '/no/plugin' } }),
      /^cannot use the credentials of .*\/no\/plugin/,
    ],
    [
      'runs a plugin that fails',
      kubeconfig({
        exec: { command: process.execPath, args: ['-e', 'console.error("log in first\\nhint"); process.exit(1)'] },
      }),
      /^cannot use the credentials of .*: log in first$/,
    ],
  ])('cannot be used when it %s, and one line says so', async (_name, text, message) => {
    if (text !== '') await write('kubeconfig', text);
    const failure: unknown = await loadKubeconfig().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CredentialsError);
    expect((failure as CredentialsError).message).toMatch(message);
    expect((failure as CredentialsError).message).not.toContain('\n');
  });

  it('are missed with a line that names the choices', async () => {
    await expect(loadKubeconfig({ HOME: folder })).rejects.toThrow(
      /^no Kubernetes cluster is configured: set KUBECONFIG .*$/,
    );
  });
});

describe('credentials that take too long', () => {
  it('are given up before the call that waits for them is', async () => {
    const alarms: (() => void)[] = [];
    const handClock = {
      ...clock,
      schedule(_delayMs: number, task: () => void) {
        alarms.push(task);
        return () => undefined;
      },
    };
    const credentials = new Credentials({ read: () => new Promise(() => undefined) }, handClock);
    const waiting = credentials.current();
    for (const alarm of alarms) alarm();
    await expect(waiting).rejects.toThrow('reading the credentials took more than 10 s');
  });
});

function parts(user: object = {}, cluster: object = {}) {
  const certificateAuthority = { 'certificate-authority-data': Buffer.from('CA').toString('base64') };
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'x-context',
    clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:6443', ...certificateAuthority, ...cluster } }],
    users: [{ name: 'u', user: Object.keys(user).length > 0 ? user : { token: 'secret' } }],
    contexts: [{ name: 'x-context', context: { cluster: 'c', user: 'u', namespace: 'team' } }],
  };
}

function kubeconfig(user: object = {}, cluster: object = {}): string {
  return JSON.stringify(parts(user, cluster));
}
