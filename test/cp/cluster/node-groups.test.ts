import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { generateAuthority, issueCertificate } from '../../../cp/pki/authority.ts';
import { loadClusterTls } from '../../../cp/pki/cluster-tls.ts';
import { MemoryFeed } from '../publisher/memory-feed.ts';
import { route } from '../publisher/publishing.ts';
import {
  type ClientTls,
  call,
  hello,
  NODE_ID,
  OrderReader,
  startControlPlane,
  TestLink,
  verify,
} from './control-plane.ts';

const group = (name: string, labels: string, certified = false, select_tags: string | null = null) => ({
  id: name,
  name,
  labels,
  certified,
  select_tags,
  priority: 0,
  publish: 'immediate',
});

test('labels in a certificate win over what a data plane says, and are the only ones that count for a group with certified', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'labels '));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const { cert: ca } = await generateAuthority(folder);
  const read = (file: string) => readFileSync(file, 'utf8');
  const pairOf = async (name: string, labels: Record<string, string>) => {
    const role = name === 'cp.test' ? 'control_plane' : 'data_plane';
    const files = await issueCertificate({ role, name, from: folder, to: folder, labels });
    return { cert: read(files.cert), key: read(files.key) };
  };
  const feed = new MemoryFeed();
  feed.put('groups', group('eu', 'region = eu'), group('us', 'region = us'), group('vault', 'vault', true));
  const tls = loadClusterTls({ mode: 'pki', ...(await pairOf('cp.test', {})), ca: read(ca), end: 'server' });
  const plane = await startControlPlane({ feed, tls });
  onTestFinished(() => plane.stop());

  /** The group of a data plane with these labels in its certificate that says it has those. */
  let count = 0;
  const groupOf = async (certified: Record<string, string>, said: Record<string, string>, assignable = true) => {
    const name = `dp-${count++}`;
    const client: ClientTls = { ...(await pairOf(name, certified)), ca: read(ca), servername: 'cp.test' };
    const link = await TestLink.open(plane.port, client);
    onTestFinished(() => link.socket.terminate());
    link.say({ ...hello({ id: crypto.randomUUID(), hostname: name, labels: said }), assignable });
    if (!assignable) return (await link.hear('withheld')).reason;
    const { group: told } = await link.hear('assigned');
    // What it is given then is of that group.
    expect((await verify((await link.hear('manifest')).manifest, null)).group).toBe(told);
    return told;
  };
  expect(await groupOf({}, { region: 'us' })).toBe('us');
  expect(await groupOf({ region: 'eu' }, { region: 'us' })).toBe('eu');
  expect(await groupOf({ region: 'eu' }, { region: 'us', vault: 'yes' })).toBe('eu');
  expect(await groupOf({ vault: 'yes' }, {})).toBe('vault');
  expect(await groupOf({}, { vault: 'yes' })).toBe('default');
  // One that knows nothing of groups takes only what its cluster_group says.
  expect(await groupOf({ region: 'eu' }, {}, false)).toContain(
    "one of group 'eu', but its version takes config of 'default' only",
  );
});

test('a data plane that polls is told its group before its config, and again when it refused something', async () => {
  const feed = new MemoryFeed();
  feed.put('groups', group('a', 'region = north', false, 'a'));
  feed.put('routes', { ...route(1), tags: ['a'] }, route(2));
  const plane = await startControlPlane({ feed });
  onTestFinished(() => plane.stop());
  const said = { ...hello(), assignable: true };
  const say = (message: unknown) =>
    call(plane.port, `/v1/status?node=${NODE_ID}`, { method: 'POST', body: JSON.stringify(message) });
  const ask = async () => JSON.parse((await call(plane.port, `/v1/manifest?node=${NODE_ID}&wait=30`)).body.toString());
  const orders = new OrderReader(said);
  await say(said);
  expect(await orders.read(await ask())).toEqual({ type: 'assigned', group: 'a' });
  const first = await verify((await ask()).manifest, 'a');
  expect(first.tables.routes?.rows).toBe(1);
  // As when the order never came.
  await say({ type: 'rejected', serial: first.serial, reason: 'for another group' });
  expect(await orders.read(await ask())).toEqual({ type: 'assigned', group: 'a' });

  // The group goes, and all that are in it are of the other.
  feed.write(['delete', 'groups', 'a']);
  await plane.publisher.flush();
  expect(await orders.read(await ask())).toEqual({ type: 'assigned', group: 'default' });
  expect((await verify((await ask()).manifest)).tables.routes?.rows).toBe(2);
});
