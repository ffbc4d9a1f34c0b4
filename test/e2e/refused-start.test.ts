import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';

import { lockPrefix } from '../../edge-dp/hosts/prefix-lock.ts';
import { freshPrefix } from '../embedded-database.ts';
import { freePorts } from '../free-port.ts';
import { runHoldfast } from './processes.ts';

const other = mkdtempSync(join(tmpdir(), 'other cluster '));
let prefix: string;

beforeEach(async () => {
  prefix = await freshPrefix('migrated');
});
afterEach(() => rmSync(prefix, { recursive: true, force: true }));
afterAll(() => rmSync(other, { recursive: true, force: true }));

/** What a person sees of a start that must fail: the message, and no stack. */
async function refusal(settings: Readonly<Record<string, string>> = {}): Promise<string> {
  const { code, output } = await runHoldfast(['start'], {
    prefix,
    admin_listen: '127.0.0.1:0',
    admin_gui_listen: 'off',
    cluster_listen: '127.0.0.1:0',
    cluster_telemetry_listen: '127.0.0.1:0',
    proxy_listen: '127.0.0.1:0',
    status_listen: '127.0.0.1:0',
    ...settings,
  });
  expect(code).toBe(1);
  expect(output).not.toMatch(/^\s+at /m);
  return output;
}

it.each(['admin_listen', 'cluster_listen', 'cluster_telemetry_listen', 'proxy_listen'])(
  'names %s when its port is taken',
  async (setting) => {
    const holder = createServer();
    const [port = 0] = await freePorts(1);
    await new Promise<void>((resolve) => holder.listen(port, '127.0.0.1', resolve));
    expect(await refusal({ [setting]: `127.0.0.1:${port}` })).toContain(
      `${setting}: cannot listen on 127.0.0.1:${port}: the port is in use`,
    );
    holder.close();
  },
);

it('has hybrid gen_cert refuse one file name without the other, and days that are none', async () => {
  expect((await runHoldfast(['hybrid', 'gen_cert', 'only.crt'])).output).toContain('takes no file names or two');
  expect((await runHoldfast(['hybrid', 'gen_cert', '--days', '0'])).output).toContain("not '0'");
});

it('tells damaged files by their path and says what to do', async () => {
  await runHoldfast(['hybrid', 'gen_cert', '--dir', prefix]);
  await runHoldfast(['hybrid', 'gen_cert', '--dir', other]);

  copyFileSync(join(other, 'bundle-signing.key'), join(prefix, 'bundle-signing.key'));
  expect(await refusal()).toContain('does not hold the public key of bundle_signing_key');

  copyFileSync(join(other, 'bundle-keys.json'), join(prefix, 'bundle-keys.json'));
  rmSync(join(prefix, 'pgdata', 'global', 'pg_control'));
  expect(await refusal()).toMatch(/embedded database in .*pgdata does not start.*restore/s);

  writeFileSync(join(prefix, 'pgdata.lock'), 'left over');
  expect(await refusal()).toContain(`${join(prefix, 'pgdata.lock')} is no lock file`);
});

it('says where PostgreSQL was looked for when it is not there', async () => {
  const [port] = await freePorts(1);
  expect(await refusal({ database: 'postgres', pg_port: String(port) })).toContain(
    `'kong' at 127.0.0.1:${port} as 'kong' (pg_host, pg_port, pg_database, pg_user): connection refused`,
  );
});

async function ofDataPlane(port: number): Promise<Readonly<Record<string, string>>> {
  await runHoldfast(['hybrid', 'gen_cert', '--dir', prefix]);
  return {
    role: 'data_plane',
    data_plane_host: 'node',
    database: 'off',
    cluster_control_plane: '127.0.0.1:1',
    cluster_cert: join(prefix, 'cluster.crt'),
    cluster_cert_key: join(prefix, 'cluster.key'),
    bundle_trusted_keys: join(prefix, 'bundle-keys.json'),
    proxy_listen: `127.0.0.1:${port}`,
  };
}

it.each([
  ['a file that is none', { bundle_trusted_keys: '/nowhere/keys.json' }, '/nowhere/keys.json'],
  ['a prefix that cannot be', { prefix: '/proc/none/here' }, 'prefix: /proc/none/here cannot be written to'],
])('leaves nothing of a data plane on Node that was begun, for %s', async (_, settings, message) => {
  const [port = 0] = await freePorts(1);
  expect(await refusal({ ...(await ofDataPlane(port)), ...settings })).toContain(message);
  // Nor is the port, or the prefix, anybody's any more.
  const next = createServer();
  await new Promise<void>((resolve, reject) => next.once('error', reject).listen(port, '127.0.0.1', resolve));
  next.close();
  (await lockPrefix(prefix)).release();
});

it('names the port of a data plane on Node that is taken', async () => {
  const holder = createServer();
  const [port = 0] = await freePorts(1);
  await new Promise<void>((resolve) => holder.listen(port, '127.0.0.1', resolve));
  expect(await refusal(await ofDataPlane(port))).toContain(
    `cannot start: proxy_listen: cannot listen on 127.0.0.1:${port}: the port is in use`,
  );
  holder.close();
});

it('says why a data plane on Node that was begun does not start', async () => {
  const [port = 0] = await freePorts(1);
  const settings = await ofDataPlane(port);
  mkdirSync(join(prefix, 'native'));
  writeFileSync(join(prefix, 'native', 'node-id'), 'damaged');
  expect(await refusal(settings)).toContain(`${join(prefix, 'native', 'node-id')}: expected a UUID`);
});
