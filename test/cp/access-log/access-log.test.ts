import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { AccessLog } from '../../../cp/access-log/access-log.ts';
import { createLog } from '../../../cp/instance/log.ts';
import { once } from '../../once.ts';

it('has a bounded file and the one before, and lets go of one that was moved away', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast access log '));
  const path = join(folder, 'access.log');
  const format = { escape: 'default', text: '$request_uri' } as const;
  const log = new AccessLog(
    { path, format },
    createLog('warn', () => undefined),
    30,
  );
  const server = createServer((_, response) => void response.end()).listen(0, '127.0.0.1');
  try {
    log.watch(server, 'http');
    await once(server, 'listening');
    const write = async (line: string): Promise<void> => {
      const { port } = server.address() as AddressInfo;
      await (await fetch(`http://127.0.0.1:${port}${line}`, { headers: { connection: 'close' } })).text();
      await expect
        .poll(
          async () => {
            await log.close();
            return readFile(path, 'utf8').catch(() => '');
          },
          { message: `the line ${line}` },
        )
        .toContain(line);
    };
    for (const n of [1, 2, 3, 4, 5, 6, 7]) await write(`/a-line-${n}`);
    expect(await readFile(`${path}.1`, 'utf8')).toBe('/a-line-4\n/a-line-5\n/a-line-6\n');
    expect(await readFile(path, 'utf8')).toBe('/a-line-7\n');
    await rename(path, join(folder, 'moved'));
    await write('/new');
    expect(await readFile(path, 'utf8')).toBe('/new\n');
    expect((await readdir(folder)).sort()).toEqual(['access.log', 'access.log.1', 'moved']);
  } finally {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
});

it('loses lines, not the threads of the process, at a pipe that nobody reads', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast access log '));
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  const said: string[] = [];
  const log = new AccessLog(
    { path, format: { escape: 'default', text: '$request_uri' } },
    createLog('warn', (line) => void said.push(line)),
  );
  const server = createServer((_, response) => void response.end()).listen(0, '127.0.0.1');
  let reader: number | null = null;
  try {
    log.watch(server, 'http');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const ask = async (target: string): Promise<void> => {
      await (await fetch(`http://127.0.0.1:${port}${target}`, { headers: { connection: 'close' } })).text();
    };
    await ask('/unread');
    await expect.poll(() => said).toEqual([expect.stringContaining(`access log ${path}: lines are lost: ENXIO`)]);
    reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    await ask('/read');
    const read = Buffer.alloc(100);
    // Nothing to read yet is the end while nobody writes.
    await expect.poll(() => read.toString('utf8', 0, readSync(reader as number, read))).toBe('/read\n');
  } finally {
    // A writer that waits for a reader gets one.
    closeSync(reader ?? openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
});

it('goes on in a file that cannot be moved away, and says so once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast access log '));
  const path = join(folder, 'access.log');
  await mkdir(`${path}.1`);
  const said: string[] = [];
  const log = new AccessLog(
    { path, format: { escape: 'default', text: '$request_uri' } },
    createLog('warn', (line) => void said.push(line)),
    30,
  );
  const server = createServer((_, response) => void response.end()).listen(0, '127.0.0.1');
  try {
    log.watch(server, 'http');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const wanted = [1, 2, 3, 4, 5, 6, 7].map((n) => `/a-line-${n}`);
    for (const line of wanted) {
      await (await fetch(`http://127.0.0.1:${port}${line}`, { headers: { connection: 'close' } })).text();
      await expect.poll(() => readFile(path, 'utf8').catch(() => ''), { message: line }).toContain(line);
    }
    expect(await readFile(path, 'utf8')).toBe(`${wanted.join('\n')}\n`);
    expect(said).toEqual([
      expect.stringMatching(/access log .*access\.log: it is too long, and cannot be moved away: E/),
    ]);
  } finally {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
});

it('moves a file away once where two listeners write to it at once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast access log '));
  const path = join(folder, 'access.log');
  const logs = [0, 1].map(
    () =>
      new AccessLog(
        { path, format: { escape: 'default', text: '$request_uri' } },
        createLog('warn', () => undefined),
        200,
      ),
  );
  const servers = logs.map((log) => {
    const server = createServer((_, response) => void response.end()).listen(0, '127.0.0.1');
    log.watch(server, 'http');
    return server;
  });
  try {
    for (let round = 0; round < 20; round++) {
      await rm(`${path}.1`, { force: true });
      // One short of too long, so that the lines of both are too much.
      const full = `${'x'.repeat(198)}\n`;
      await writeFile(path, full);
      await Promise.all(
        servers.map(async (server) => {
          const { port } = server.address() as AddressInfo;
          await (await fetch(`http://127.0.0.1:${port}/a`, { headers: { connection: 'close' } })).text();
        }),
      );
      await expect.poll(() => readFile(path, 'utf8').catch(() => ''), { message: 'both lines' }).toBe('/a\n/a\n');
      expect(await readFile(`${path}.1`, 'utf8')).toBe(full);
    }
  } finally {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    await rm(folder, { recursive: true, force: true });
  }
});
