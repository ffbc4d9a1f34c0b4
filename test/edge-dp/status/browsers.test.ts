import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DataPlane } from '../../../edge-dp/hosts/options.ts';
import { rawRequest } from '../../raw-http.ts';
import { hosts, nodeOptions } from '../hosts.ts';

describe.each(hosts)('the Status API on %s', (_, start) => {
  let prefix: string;
  let node: DataPlane;

  beforeAll(async () => {
    prefix = mkdtempSync(join(tmpdir(), 'status browsers '));
    node = await start(nodeOptions(prefix, null, { statusAllowedHosts: ['node.corp'] }));
  });
  afterAll(async () => {
    await node?.stop(0);
    rmSync(prefix, { recursive: true, force: true });
  });

  const ask = (method: string, path: string, headers: readonly string[], body = '') =>
    rawRequest(
      node.statusAddresses[0]?.port ?? 0,
      [`${method} ${path} HTTP/1.1`, ...headers, `Content-Length: ${body.length}`, 'Connection: close'],
      body,
    );

  it.each(['127.0.0.1:8100', 'localhost', '[::1]:8100', 'node.corp:8100'])('answers under %s', async (host) => {
    expect(await ask('GET', '/status', [`Host: ${host}`])).toMatchObject({ status: 200 });
  });

  it.each(['evil.test:8100', 'localhost.evil.test', '127.0.0.1.evil.test'])('tells nothing under %s', async (host) => {
    for (const path of ['/status', '/metrics', '/nowhere']) {
      const answer = await ask('GET', path, [`Host: ${host}`]);
      expect(answer).toMatchObject({ status: 403 });
      expect(JSON.parse(answer.body).message).toContain(`'${host}' is not a name of this server`);
    }
  });

  it.each([
    'Origin: https://evil.test',
    'Origin: null',
    'Origin: http://localhost:8002',
    'Sec-Fetch-Site: cross-site',
    'Sec-Fetch-Site: same-site',
  ])('is not drained by a page (%s), which may not read it either', async (header) => {
    const headers = ['Host: localhost:8100', header];
    const form = [...headers, 'Content-Type: application/x-www-form-urlencoded'];
    const drained = await ask('POST', '/status/ready', form, 'status=draining');
    expect(drained).toMatchObject({ status: 403 });
    expect(drained.body).toContain('the Status API is not for browsers');
    expect(await ask('POST', '/debug/route', [...headers, 'Content-Type: text/plain'], '{}')).toMatchObject({
      status: 403,
    });
    const read = await ask('GET', '/status', headers);
    expect(read).toMatchObject({ status: 200 });
    expect([...read.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
    expect((await ask('GET', '/status/ready', ['Host: localhost'])).body).not.toContain('draining');
  });
});
