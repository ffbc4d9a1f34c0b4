import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { NameService } from '../../../../edge-dp/hosts/egress/dns.ts';
import { type DnsOptions, SYSTEM_DNS } from '../../../../edge-dp/hosts/options.ts';
import { type DnsServer, startDnsServer } from '../../balancer/dns-server.ts';

let server: DnsServer;
let folder: string;

beforeAll(async () => {
  server = await startDnsServer();
  server.records.set('a.test', [{ type: 'A', address: '10.0.0.1', ttl: 7 }]);
  folder = await mkdtemp(join(tmpdir(), 'holdfast dns '));
});
afterAll(async () => {
  server?.stop();
  await rm(folder, { recursive: true, force: true });
});

const ask = (options: Partial<DnsOptions>, name = 'a.test') =>
  new NameService({ ...SYSTEM_DNS, servers: [server.address], ...options }).resolve(name, 'A');

it('keeps records for their TTL, or for the time that is set', async () => {
  expect(await ask({})).toMatchObject({ status: 'ok', records: [{ address: '10.0.0.1', ttl: 7 }] });
  expect(await ask({ validTtl: 90 })).toMatchObject({ status: 'ok', records: [{ address: '10.0.0.1', ttl: 90 }] });
});

it('asks again for a name that is not there, and of a server in trouble, after the time that is set for each', async () => {
  expect(await ask({ notFoundTtl: 40, errorTtl: 2 }, 'b.test')).toMatchObject({ status: 'not_found', retry: 40 });
  server.failing = true;
  expect(await ask({ notFoundTtl: 40, errorTtl: 2 })).toMatchObject({ status: 'failed', retry: 2 });
  server.failing = false;
});

it('reads names from the hosts file that is set, and again when it has changed', async () => {
  const hostsFile = join(folder, 'hosts');
  await writeFile(hostsFile, '10.0.0.9 a.test # not in the DNS\n');
  const names = new NameService({ ...SYSTEM_DNS, servers: [server.address], hostsFile });
  expect(await names.resolve('a.test', 'A')).toMatchObject({ records: [{ address: '10.0.0.9' }] });
  await writeFile(hostsFile, '10.0.0.10 other\n10.0.0.11 third.test\n');
  await expect.poll(() => names.resolve('a.test', 'A')).toMatchObject({ records: [{ address: '10.0.0.1' }] });
});
