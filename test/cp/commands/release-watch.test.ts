import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { release } from '../../../cp/commands/release.ts';
import { InstanceNote, NO_RELOADS } from '../../../cp/instance/instance.ts';
import { createLog } from '../../../cp/instance/log.ts';

/** What the Admin API says, answer by answer; null: it ends the connection. */
let answers: ({ readonly status: number; readonly body: object } | null)[];
let server: Server;
let prefix: string;

beforeEach(async () => {
  prefix = mkdtempSync(join(tmpdir(), 'holdfast release '));
  server = createServer((_request, response) => {
    const answer = answers.shift() ?? null;
    if (answer === null) response.destroy();
    else response.writeHead(answer.status).end(JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const admin = `http://127.0.0.1:${port}`;
  new InstanceNote(
    prefix,
    createLog('error', () => undefined),
  ).write({ pid: process.pid, role: 'control_plane', certificates: [], reloads: NO_RELOADS, admin });
});

afterEach(() => {
  vi.restoreAllMocks();
  server.close();
  rmSync(prefix, { recursive: true });
});

const at = (state: string) => ({ status: 200, body: { id: 'r', group: 'eu', state, serial: 3, ring: null } });

async function watch(): Promise<{ readonly out: string; readonly told: string }> {
  const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const told = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  await release.run({ words: ['watch', 'r'], conf: undefined, prefix, options: {} });
  return { out: out.mock.calls.map(String).join(''), told: told.mock.calls.map(String).join('') };
}

it('goes on watching while the control plane is started again, and tells once that it does not answer', async () => {
  answers = [at('rolling'), null, null, { status: 503, body: {} }, at('live')];
  const { out, told } = await watch();
  expect(out).toMatch(/^r {2}eu {2}rolling .*\nr {2}eu {2}live .*\n$/);
  expect(told).toMatch(/^holdfast: the running instance does not answer at http:.*; asking again\n$/);
});

it('goes on watching while the control plane is without its database', async () => {
  answers = [at('rolling'), { status: 503, body: { message: 'the database cannot be reached' } }, at('live')];
  const { out, told } = await watch();
  expect(out).toMatch(/^r {2}eu {2}rolling .*\nr {2}eu {2}live .*\n$/);
  expect(told).toBe('holdfast: the database cannot be reached; asking again\n');
});

it('ends at once where it is refused', async () => {
  answers = [at('rolling'), { status: 404, body: { message: 'Not found' } }];
  await expect(watch()).rejects.toThrow('Not found');
  expect(answers).toEqual([]);
});
