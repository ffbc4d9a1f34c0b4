import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AcmeOrders } from '../../../cp/acme/orders.ts';
import { AcmeStorage } from '../../../cp/acme/storage.ts';
import { openStore } from '../../../cp/store/open.ts';
import type { Store, Workspace } from '../../../cp/store/store.ts';
import { freshPrefix } from '../../embedded-database.ts';
import { type AcmeServer, startAcmeServer } from './acme-server.ts';

/** Two control planes over one database, whose challenges are answered here. */
let store: Store;
let workspace: Workspace;
let prefix: string;
let server: AcmeServer;
let answering: Server;
const challenges = new Map<string, string>();
const logged: string[] = [];

const planes = (): readonly [AcmeOrders, AcmeOrders] => {
  const one = () =>
    new AcmeOrders({
      store,
      challenges: {
        publish: async (token, authorization) => void challenges.set(token, authorization),
        withdraw: async (token) => void challenges.delete(token),
      },
      trust: { publicCas: false, certificates: [] },
      log: (level, message) => void logged.push(`${level} ${message}`),
    });
  return [one(), one()];
};

beforeAll(async () => {
  prefix = await freshPrefix('migrated');
  store = await openStore({ database: 'embedded', prefix });
  const found = await store.workspace('default');
  if (found === null) throw new Error('there is no default workspace');
  workspace = found;
  server = await startAcmeServer();
  answering = createServer(({ url = '' }, response) => {
    response.end(challenges.get(url.slice(url.lastIndexOf('/') + 1)));
  }).listen(0, '127.0.0.1');
  await once(answering, 'listening');
  server.challengePort = (answering.address() as AddressInfo).port;
});
afterAll(async () => {
  await store?.close();
  server?.stop();
  answering?.close();
  rmSync(prefix, { recursive: true, force: true });
});

it('two control planes that renew at once order each certificate once, by the account of the key entity', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...privateKey.export({ format: 'jwk' }), kid: 'account' };
  const set = await workspace.entity('key_sets').insert({ name: 'ours' });
  // Another of that kid, in no set, is another key.
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  await workspace
    .entity('keys')
    .insert({ name: 'b', kid: 'account', jwk: JSON.stringify({ ...stranger, kid: 'account' }) });
  await workspace
    .entity('keys')
    .insert({ name: 'a', kid: 'account', jwk: JSON.stringify(jwk), set: { id: String(set.id) } });
  await workspace.entity('plugins').insert({
    name: 'acme',
    config: {
      account_email: 'ops@example.test',
      account_key: { key_id: 'account', key_set: 'ours' },
      api_uri: server.url,
      tos_accepted: true,
      storage: 'kong',
      domains: ['one.test', 'two.test', 'three.test'],
      cert_type: 'ecc',
    },
  });
  const [first, second] = planes();
  await Promise.all([first.renew(), second.renew()]);
  // Who met a lock goes on with the next name, and finds it done at the next look.
  await Promise.all([first.renew(), second.renew()]);
  expect(server.ordered.toSorted()).toEqual(['one.test', 'three.test', 'two.test']);
  expect(logged.filter((line) => !line.startsWith('info'))).toEqual([]);
  expect((await first.certificates(workspace)).map(({ host }) => host)).toEqual(['one.test', 'three.test', 'two.test']);

  const storage = new AcmeStorage(workspace);
  const [place = ''] = await storage.list('kong_acme:account:');
  const { key } = JSON.parse((await storage.get(`kong_acme:account:${place}`)) ?? '{}');
  expect(key.trim()).toBe(privateKey.export({ format: 'pem', type: 'pkcs8' }).toString().trim());
  expect(server.accountKeys).toEqual([expect.objectContaining({ x: publicKey.export({ format: 'jwk' }).x })]);
});

it('a key that is made is one account’s, also for two orders at once', async () => {
  const [first, second] = planes();
  const config = await first.configOf(workspace);
  if (config === null) throw new Error('there is no acme plugin');
  const own = { ...config, account_key: null, account_email: 'new@example.test' };
  // A server that takes its time with each order.
  server.faults.looks = 1;
  await Promise.all([first.update(workspace, own, 'four.test'), second.update(workspace, own, 'five.test')]);
  expect(server.ordered).toEqual(expect.arrayContaining(['four.test', 'five.test']));
  expect(server.accountKeys).toHaveLength(2);
  await expect(
    first.update(
      workspace,
      { ...own, account_key: { key_id: 'none', key_set: null }, account_email: 'x@example.test' },
      'six.test',
    ),
  ).rejects.toThrow("config.account_key: key 'none' does not exist");
});

it('an order that a stop breaks off leaves neither a challenge nor a lock nor a pause', async () => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  server.challengePort = (silent.address() as AddressInfo).port;
  const [plane] = planes();
  const config = await plane.configOf(workspace);
  if (config === null) throw new Error('there is no acme plugin');
  const asked = once(silent, 'request');
  const ordered = plane.update(workspace, config, 'seven.test');
  ordered.catch(() => undefined);
  await asked;
  expect(challenges.size).toBe(1);
  await plane.stop();
  await expect(ordered).rejects.toThrow();
  expect(challenges.size).toBe(0);
  const storage = new AcmeStorage(workspace);
  for (const kind of ['fail_backoff', 'update_lock'])
    expect(await storage.get(`kong_acme:${kind}:seven.test`), kind).toBeNull();
  silent.close();
  silent.closeAllConnections();
});

it('a control plane that is a moment late keeps the pause after the other one’s failure', async () => {
  const [first] = planes();
  const config = await first.configOf(workspace);
  if (config === null) throw new Error('there is no acme plugin');
  // Gets to the lock when the other one is through with it.
  const late = new AcmeOrders({
    store: {
      async workspace(name) {
        const found = await store.workspace(name);
        if (found === null) return null;
        const entity: Workspace['entity'] = (kind) => {
          const rows = found.entity(kind);
          const insert: typeof rows.insert = async (...row) => {
            await expect(first.update(workspace, config, '192.0.2.1')).rejects.toThrow('is an address');
            return rows.insert(...row);
          };
          return { ...rows, insert };
        };
        return { ...found, entity };
      },
    },
    challenges: { publish: async () => undefined, withdraw: async () => undefined },
    trust: { publicCas: false, certificates: [] },
    log: () => undefined,
  });
  await expect(late.update(workspace, config, '192.0.2.1')).rejects.toThrow('please try again in');
  const storage = new AcmeStorage(workspace);
  expect(JSON.parse((await storage.get('kong_acme:fail_backoff:192.0.2.1')) ?? '').failures).toBe(1);
  expect(await storage.get('kong_acme:update_lock:192.0.2.1')).toBeNull();
});
