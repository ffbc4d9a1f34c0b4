import { randomUUID, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';
import { findInstance } from '../../cp/instance/instance.ts';
import { freshPrefix } from '../embedded-database.ts';
import { freePorts } from '../free-port.ts';
import { once } from '../once.ts';
import { until } from '../until.ts';
import { admin as ask, runHoldfast } from './processes.ts';

const prefix = await freshPrefix('migrated');
const [admin = 0, other = 0, status = 0] = await freePorts(3);
const keys = join(prefix, 'pki');

afterAll(async () => {
  await run('stop');
  rmSync(prefix, { recursive: true, force: true });
});

const settings = {
  prefix,
  role: 'control_plane',
  admin_listen: `127.0.0.1:${admin}`,
  admin_gui_listen: 'off',
  status_listen: `127.0.0.1:${status}`,
  cluster_listen: `127.0.0.1:${other}`,
  cluster_telemetry_listen: 'off',
  cluster_mtls: 'pki',
  cluster_ca_cert: join(keys, 'ca.crt'),
  cluster_cert: join(keys, 'localhost.crt'),
  cluster_cert_key: join(keys, 'localhost.key'),
  bundle_signing_key: join(keys, 'bundle-signing.key'),
  vault_env_file: join(prefix, 'secrets.env'),
  log_format: 'json',
};
writeFileSync(settings.vault_env_file, 'APP_SECRET=x\n');

const run = (...words: string[]) => runHoldfast(words, settings, prefix);
const alone = (...words: string[]) => runHoldfast(words, { prefix }, prefix);

describe('hybrid', () => {
  it('makes a CA, and pairs of nodes that each end of the link takes, and overwrites nothing', async () => {
    expect(await alone('hybrid', 'gen_ca', '--dir', keys)).toMatchObject({ code: 0 });
    expect(
      await alone('hybrid', 'issue', '--ca', keys, '--role', 'control_plane', '--name', 'localhost'),
    ).toMatchObject({ code: 0 });
    expect(
      await alone('hybrid', 'issue', '--ca', keys, '--role', 'data_plane', '--name', '::1', '--days', '9'),
    ).toMatchObject({ code: 0 });
    const read = (name: string) => new X509Certificate(readFileSync(join(keys, name)));
    const ca = read('ca.crt');
    for (const [name, usage, subject] of [
      ['localhost.crt', '1.3.6.1.5.5.7.3.1', 'DNS:localhost'],
      ['::1.crt', '1.3.6.1.5.5.7.3.2', 'IP Address:0:0:0:0:0:0:0:1'],
    ] as const) {
      const node = read(name);
      expect(node.verify(ca.publicKey) && node.checkIssued(ca), name).toBe(true);
      expect([node.keyUsage, node.subjectAltName, node.ca], name).toEqual([[usage], subject, false]);
    }
    expect(statSync(join(keys, 'ca.key')).mode & 0o777).toBe(0o600);

    const again = await alone('hybrid', 'issue', '--ca', keys, '--role', 'control_plane', '--name', 'localhost');
    expect(again).toEqual({ code: 1, output: expect.stringContaining('not overwriting') });
    const longer = await alone(
      'hybrid',
      'issue',
      '--ca',
      keys,
      '--role',
      'data_plane',
      '--name',
      'a',
      '--days',
      '9999',
    );
    expect(longer).toEqual({ code: 1, output: expect.stringMatching(/ca\.crt ends .* choose fewer with --days/) });
    for (const [words, says] of [
      [['--role', 'boss', '--name', 'a'], /needs --role, one of control_plane, data_plane, traditional/],
      [['--role', 'data_plane'], /needs --name/],
    ] as const) {
      expect(await alone('hybrid', 'issue', '--ca', keys, ...words)).toEqual({
        code: 2,
        output: expect.stringMatching(says),
      });
    }
    expect(await alone('hybrid', 'issue', '--ca', keys, '--role', 'data_plane', '--name', '../a')).toEqual({
      code: 1,
      output: expect.stringContaining("'../a' is neither a host name nor an address"),
    });
  });
});

describe('an instance in the background', () => {
  it('starts, tells where its log is, and says why when it does not', async () => {
    const started = await run('start', '--detach');
    expect(started).toEqual({
      code: 0,
      output: expect.stringMatching(/^Holdfast \(pid \d+\) has started; its log is .*holdfast\.log$/m),
    });
    expect(await run('health')).toEqual({
      code: 0,
      output: expect.stringMatching(/^Admin API +ok\nStatus API +ok\n/),
    });
    const id = readFileSync(join(prefix, 'node-id'), 'utf8');
    const second = { ...settings, node_id: randomUUID() };
    for (const words of [['start', '-d'], ['start']])
      expect(await runHoldfast(words, second, prefix)).toEqual({
        code: 1,
        output: expect.stringMatching(/already running at .* \(pid \d+\)/),
      });
    expect(readFileSync(join(prefix, 'node-id'), 'utf8')).toBe(id);

    const elsewhere = join(prefix, 'elsewhere');
    const refused = await runHoldfast(
      ['start', '--detach'],
      { ...settings, prefix: elsewhere, bundle_signing_key: join(keys, 'ca.key') },
      prefix,
    );
    expect(refused).toEqual({
      code: 1,
      output: expect.stringMatching(/it ended instead of starting; from .*holdfast\.log:\n[\s\S]*bundle_signing_key/),
    });
  });

  it('lends its database to config import, export, check and to vault get', async () => {
    const file = join(prefix, 'kong.yml');
    writeFileSync(
      file,
      '_format_version: "3.0"\nservices: [{ name: öffentlich, url: "http://localhost" }]\nvaults: [{ name: env, prefix: app, config: { prefix: app_ } }]\n',
    );
    expect((await run('config', 'import', file)).output).toBe('import successful: 2 written, 0 unchanged\n');
    expect((await run('config', 'import', file)).output).toBe('import successful: 0 written, 2 unchanged\n');
    const written = await ask(`${findInstance(prefix)?.admin}/changes`);
    expect(written.data).toMatchObject([{ by: { via: 'admin_api', client: 'holdfast config import' } }]);
    const out = join(prefix, 'out.yml');
    expect((await run('config', 'export', out)).code).toBe(0);
    expect(readFileSync(out, 'utf8')).toContain('öffentlich');
    expect((await run('config', 'parse', out)).output).toBe('parse successful\n');
    expect((await run('config', 'check')).output).toMatch(/^workerd: can honour all of it$/m);
    expect(await run('vault', 'get', '{vault://app/secret}')).toEqual({ code: 0, output: 'x\n' });
    expect((await run('vault', 'get', 'env/app-secret')).output).toBe('x\n');
    expect(await run('vault', 'get', 'none/secret')).toEqual({
      code: 1,
      output: 'holdfast: could not find vault (none)\n',
    });

    // Ids of keys may begin as options do.
    const kid = `-${'a'.repeat(42)}`;
    for (const words of [[kid], ['--', kid]])
      expect((await run('keys', 'revoke', ...words)).output).toContain(`no signing key ${kid}`);

    writeFileSync(file, 'services: [{ name: a, url: 5 }]\n');
    const [through, direct] = [await run('config', 'import', file), await run('config', 'parse', file)];
    expect(through).toEqual({ code: 1, output: direct.output });
  });

  it('restarts as another process with what it had, and ends by quit and stop, once', async () => {
    const before = findInstance(prefix)?.pid;
    expect((await run('restart')).code).toBe(0);
    const after = findInstance(prefix)?.pid;
    expect(after).toBeGreaterThan(0);
    expect(after).not.toBe(before);
    const services = await (await fetch(`http://127.0.0.1:${admin}/services`)).json();
    expect(services).toMatchObject({ data: [{ name: 'öffentlich' }] });
    // What asks or ends it needs its folder alone: not secrets that its settings refer to, nor that they are right.
    const bare = (...words: string[]) =>
      runHoldfast(words, { ...settings, pg_password: '{vault://env/nowhere}', proxy_listen: 'nowhere' }, prefix);
    expect(await bare('check')).toMatchObject({ code: 1, output: expect.stringContaining('NOWHERE is not set') });
    expect(await bare('health')).toMatchObject({ code: 0, output: expect.stringContaining('is healthy at') });
    expect(await bare('reload')).toEqual({ code: 0, output: `Holdfast (pid ${after}) has reloaded\n` });

    // What is in flight holds it: whoever starts another waits for its end.
    const half = connect(admin, '127.0.0.1');
    half.write('POST /services HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n');
    expect(String((await once(half, 'data'))[0])).toContain('100 Continue');
    process.kill(Number(after), 'SIGTERM');
    await until(() => findInstance(prefix) === null, 'the stop to begin');
    // However long the commands take.
    process.kill(Number(after), 'SIGSTOP');
    const refusals = await Promise.all([run('start', '--detach'), run('drain'), run('health')]);
    for (const refusal of refusals)
      expect(refusal).toEqual({
        code: 1,
        output: expect.stringContaining(`Holdfast (pid ${after}) is stopping at ${prefix}`),
      });
    process.kill(Number(after), 'SIGCONT');
    half.destroy();
    expect(await run('restart')).toMatchObject({ code: 0 });
    const last = findInstance(prefix)?.pid;
    expect(last).not.toBe(after);
    const draining = `Holdfast (pid ${last}) is draining: /status/ready answers 503\n`;
    expect(await bare('drain')).toEqual({ code: 0, output: draining });
    expect(await run('health')).toEqual({
      code: 1,
      output: expect.stringMatching(/Status API +answers 503: .*draining/),
    });
    expect(await bare('quit', '--timeout', '3')).toEqual({ code: 0, output: `Holdfast (pid ${last}) has stopped\n` });
    for (const command of ['stop', 'drain'])
      expect(await run(command)).toEqual({ code: 1, output: expect.stringContaining('is not running at') });
    expect(existsSync(join(prefix, 'instance.json'))).toBe(false);

    const log = readFileSync(join(prefix, 'holdfast.log'), 'utf8').split('\n');
    expect(log.filter((line) => / \[[a-z]+\] /.test(line))).toEqual([]);
    expect(log.flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []))).toContainEqual({
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      level: 'notice',
      part: 'holdfast',
      message: 'stopped',
    });
  });
});

it('empties the database when asked twice, and finishes nothing that is not begun', async () => {
  expect((await run('migrations', 'finish')).output).toBe('no pending migrations to finish\n');
  expect(await run('migrations', 'reset')).toEqual({
    code: 1,
    output: expect.stringContaining('say --yes if that is meant'),
  });
  expect(await run('migrations', 'status')).toMatchObject({ code: 0 });
  expect((await run('migrations', 'reset', '--yes')).output).toBe('the database is empty\n');
  expect(await run('migrations', 'status')).toMatchObject({ code: 3 });
  expect(await run('migrations', 'finish')).toEqual({
    code: 1,
    output: expect.stringContaining("run 'holdfast migrations bootstrap'"),
  });
  expect((await run('migrations', 'bootstrap')).code).toBe(0);
  expect(await run('config', 'export', join(prefix, 'nowhere', 'all.yml'))).toEqual({
    code: 1,
    output: expect.stringMatching(/^holdfast: ENOENT: .*all\.yml'\n$/),
  });
});

it('tells of every command its options, examples and exit codes, and refuses the options of another', async () => {
  const { output } = await alone('--help');
  const names = [...output.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name = '']) => name);
  expect(names).toEqual(expect.arrayContaining(['start', 'stop', 'quit', 'restart', 'prepare', 'vault', 'completion']));
  for (const name of ['quit', 'migrations', 'hybrid']) {
    const help = await alone(name, '--help');
    expect(help).toEqual({
      code: 0,
      output: expect.stringMatching(/Options:\n[\s\S]*Examples:\n[\s\S]*Exit codes:\n {2}0/),
    });
  }
  expect(await alone('stop', '--days', '3')).toEqual({
    code: 2,
    output: expect.stringMatching(/Unknown option '--days'[\s\S]*Usage: holdfast stop/),
  });
  expect((await alone('version', '--all')).output).toMatch(/^undici: \d/m);
  const { output: completion } = await alone('completion', 'bash');
  for (const name of names) expect(completion).toContain(`    ${name}) words="`);
});

it('prepares a folder with what a start would make in it', async () => {
  const folder = join(prefix, 'prepared');
  const { code, output } = await runHoldfast(
    ['prepare'],
    { prefix: folder, proxy_listen: '127.0.0.1:8443 ssl' },
    prefix,
  );
  expect(output).toBe(`prepared ${folder} for role traditional\n`);
  expect(code).toBe(0);
  for (const file of ['cluster.crt', 'bundle-signing.key', 'ssl']) expect(existsSync(join(folder, file))).toBe(true);
});
