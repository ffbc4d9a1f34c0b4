import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { keys } from '../../../cp/commands/keys.ts';
import { InstanceNote, NO_RELOADS } from '../../../cp/instance/instance.ts';
import { createLog } from '../../../cp/instance/log.ts';
import { generateSigningKey } from '../../../shared/bundle/signing.ts';

const prefix = mkdtempSync(join(tmpdir(), 'holdfast keys '));
const note = new InstanceNote(
  prefix,
  createLog('error', () => undefined),
);
let toPost: (response: ServerResponse) => void;
const admin = createServer(async (request, response) => {
  if (request.method === 'POST') return toPost(response);
  const { key } = await generateSigningKey();
  response.end(JSON.stringify({ keys: [], trusted_keys: { cluster: key.cluster, keys: [key.publicKey] } }));
});

beforeAll(async () => {
  await new Promise<void>((resolve) => admin.listen(0, '127.0.0.1', resolve));
  const { port } = admin.address() as AddressInfo;
  note.write({
    pid: process.pid,
    role: 'control_plane',
    certificates: [],
    reloads: NO_RELOADS,
    admin: `http://127.0.0.1:${port}`,
  });
});
afterAll(() => {
  note.remove();
  admin.close();
  rmSync(prefix, { recursive: true, force: true });
});

it('keeps a spare key that may be trusted by now, and none that was refused', async () => {
  const spare = async (name: string): Promise<string | null> => {
    const path = join(prefix, name);
    const asked = keys.run({ words: ['spare', path], conf: undefined, prefix, options: {} });
    const failure: unknown = await Promise.resolve(asked).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Error);
    try {
      JSON.parse(readFileSync(path, 'utf8'));
      return (failure as Error).message;
    } catch {
      return null;
    }
  };
  toPost = (response) => response.destroy();
  expect(await spare('no-answer.key')).toMatch(/does not answer at .* 'holdfast keys list'/s);
  toPost = (response) => response.writeHead(500).end('{"message": "An unexpected error occurred"}');
  expect(await spare('failed.key')).toContain(join(prefix, 'failed.key'));
  toPost = (response) => response.writeHead(409).end('{"message": "another control plane changed the signing keys"}');
  expect(await spare('refused.key')).toBeNull();
});
