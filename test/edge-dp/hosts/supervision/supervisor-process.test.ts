import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openListeningSockets } from '../../../../edge-dp/hosts/listening-socket.ts';
import type { SupervisorPlan } from '../../../../edge-dp/hosts/supervision/messages.ts';
import { SupervisorProcess } from '../../../../edge-dp/hosts/supervision/supervisor-process.ts';
import { commandOf, descendants, runs } from '../../../proc.ts';

let compiled: string;
beforeEach(() => {
  compiled = mkdtempSync(join(tmpdir(), 'holdfast-compiled-'));
});
afterEach(() => rmSync(compiled, { recursive: true, force: true }));

it('says how it ended to whoever tells it something before that and after', async () => {
  const supervisor = new SupervisorProcess([], () => {}, compiled, []);
  const plan: SupervisorPlan = Object({});
  process.kill(supervisor.pid ?? 0, 'SIGKILL');
  const before = supervisor.start(plan);
  await expect(before).rejects.toThrow('the supervisor process ended: signal SIGKILL');
  await supervisor.ended;
  await expect(supervisor.start(plan)).rejects.toThrow('the supervisor process ended: signal SIGKILL');
  await supervisor.stop(0);
});

it('leaves no socket behind with the host that stops it before it was given that', async () => {
  const [socket] = await openListeningSockets([{ address: '127.0.0.1', port: 0 }]);
  if (socket === undefined) throw new Error('no socket');
  const supervisor = new SupervisorProcess([socket.descriptor], () => {}, compiled, []);
  socket.release();
  const started = supervisor.start(plan(join(compiled, 'none.mjs')));
  supervisor.release();
  await Promise.all([expect(started).rejects.toThrow(), supervisor.stop(1_000)]);
  const url = `http://127.0.0.1:${socket.port}`;
  const answer = () => fetch(url, { signal: AbortSignal.timeout(200) }).catch(({ cause, name }) => cause?.code ?? name);
  await expect.poll(answer).toBe('ECONNREFUSED');
});

/** Of one process that runs `main` on the only socket. */
function plan(main: string): SupervisorPlan {
  const socket = { name: 'one', descriptor: 4, servedBy: 'all', tls: null };
  const runtime = { kind: 'node', main, process: { settings: { proxy: {} } } };
  return Object({ processes: 1, storage: compiled, sockets: [socket], runtime });
}

describe('processes that were begun and were told nothing yet', () => {
  it('are gone when the supervisor has stopped', async () => {
    const supervisor = new SupervisorProcess([], () => {}, compiled, [[]]);
    const find = () => descendants(supervisor.pid ?? 0).find((pid) => commandOf(pid).includes('process/begin.ts'));
    await expect.poll(find).toBeDefined();
    const begun = find() ?? 0;
    await supervisor.stop(1_000);
    expect(runs(begun)).toBe(false);
  });

  it('are gone, and the supervisor with them, when the host has gone before that listened', async () => {
    const { supervisor, ended, port } = await spawnSupervisor();
    supervisor.disconnect();
    await ended;
    await expect(fetch(`http://127.0.0.1:${port}`)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
  });

  it('are gone, and the supervisor with them, when the host has gone before it took the sockets it is given', async () => {
    const main = join(compiled, 'worker.mjs');
    writeFileSync(main, 'setInterval(() => {}, 1_000);');
    const { supervisor, ended, port } = await spawnSupervisor();
    await new Promise((resolve) => supervisor.send({ type: 'start', plan: plan(main) }, resolve));
    supervisor.disconnect();
    await ended;
    await expect(fetch(`http://127.0.0.1:${port}`)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
  });
});

/** One that has begun a process for its only socket, as a host of its own would have started it. */
async function spawnSupervisor(): Promise<{ supervisor: ChildProcess; ended: Promise<unknown>; port: number }> {
  const main = fileURLToPath(new URL('../../../../edge-dp/hosts/supervision/supervisor.ts', import.meta.url));
  const [socket] = await openListeningSockets([{ address: '127.0.0.1', port: 0 }]);
  if (socket === undefined) throw new Error('no socket');
  const supervisor = spawn(process.execPath, [main, '4'], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc', socket.descriptor],
  });
  socket.release();
  return { supervisor, ended: once(supervisor, 'exit'), port: socket.port };
}
