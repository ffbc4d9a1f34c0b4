import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { admin, type ClusterFolder, createCluster, type RunningControlPlane, runHoldfast } from './processes.ts';

let cluster: ClusterFolder;
let control: RunningControlPlane;

beforeAll(async () => {
  cluster = await createCluster();
});
afterAll(async () => {
  await control?.end('SIGTERM');
  cluster?.remove();
});

it('a control plane with the embedded database is backed up and restored as docs/backup.md says', async () => {
  control = await cluster.controlPlane();
  const node = await cluster.dataPlane('edge', { data_plane_host: 'node' });
  const answers = async (path: string) => (await fetch(node.proxy + path).catch(() => null))?.status;
  const route = async (name: string) => {
    await admin(`${control.admin}/routes/${name}`, 'PUT', { paths: [`/${name}`] });
    await admin(`${control.admin}/routes/${name}/plugins`, 'POST', {
      name: 'request-termination',
      config: { status_code: 200 },
    });
  };
  const settled = { timeout: 60_000 };
  try {
    await route('kept');
    await expect.poll(() => answers('/kept'), settled).toBe(200);

    // While it runs: the config as a document. Stopped: everything.
    const document = join(cluster.path, 'backup.yml');
    const { prefix } = control;
    const alone = { prefix, database: 'embedded' };
    expect(await runHoldfast(['config', 'export', document], alone)).toMatchObject({ code: 0 });
    expect(readFileSync(document, 'utf8')).toContain('kept');
    await control.end('SIGTERM');
    const copy = join(cluster.path, 'copy of the prefix');
    cpSync(prefix, copy, { recursive: true, preserveTimestamps: true });
    control = await cluster.controlPlane();
    await route('lost');
    await expect.poll(() => answers('/lost'), settled).toBe(200);

    // The copy takes its place: data planes go back to what it has, though they have been further.
    await control.end('SIGTERM');
    rmSync(prefix, { recursive: true });
    cpSync(copy, prefix, { recursive: true, preserveTimestamps: true });
    control = await cluster.controlPlane();
    await expect.poll(() => answers('/lost'), settled).toBe(404);
    expect(await answers('/kept')).toBe(200);

    // The document takes the place of whatever there is.
    await admin(`${control.admin}/routes/kept`, 'DELETE');
    await expect.poll(() => answers('/kept'), settled).toBe(404);
    expect(await runHoldfast(['config', 'import', document], alone)).toMatchObject({ code: 0 });
    await expect.poll(() => answers('/kept'), settled).toBe(200);
  } finally {
    await node.end('SIGTERM');
  }
});
