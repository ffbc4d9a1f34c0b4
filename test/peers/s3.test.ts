import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fallbackStorage } from '../../cp/fallback/storage.ts';
import { admin, type ClusterFolder, createCluster, type HoldfastProcess, until } from '../e2e/processes.ts';
import { type Keys, type Moto, REGION, startMoto } from './moto.ts';

/** A space and letters beyond ASCII, which a signature has to have as they are sent. */
const PLACE = 's3://fleet/some where/é';
/** Two users of three calls each. */
const SETUP_CALLS = 6;

let moto: Moto;
let writer: Keys;
let reader: Keys;
let upstream: Server;
let cluster: ClusterFolder;
const running: HoldfastProcess[] = [];

beforeAll(async () => {
  moto = await startMoto(SETUP_CALLS);
  writer = await moto.user('control-plane', ['s3:CreateBucket', 's3:GetObject', 's3:PutObject', 's3:DeleteObject']);
  reader = await moto.user('data-plane', 's3:GetObject');
  // A bucket is made as an object is put, but for the name.
  await fallbackStorage({ storage: 's3://fleet', s3: null }, environment(writer)).put(
    '',
    new TextEncoder().encode(
      `<CreateBucketConfiguration><LocationConstraint>${REGION}</LocationConstraint></CreateBucketConfiguration>`,
    ),
  );
  upstream = createServer((_request, response) => response.end('upstream'));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  cluster = await createCluster();
});
afterAll(async () => {
  await Promise.all(running.map((one) => one.end('SIGKILL')));
  for (const name of Object.keys(environment(writer ?? reader))) delete process.env[name];
  upstream?.close();
  cluster?.remove();
  moto?.stop();
});

const environment = (keys: Keys): Record<string, string> => ({
  AWS_ACCESS_KEY_ID: keys.accessKeyId,
  AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
  AWS_REGION: REGION,
  AWS_CONFIG_STORAGE_ENDPOINT: moto.url,
});

const storageOf = (keys: Keys, s3: string | null = null) => fallbackStorage({ storage: PLACE, s3 }, environment(keys));

it('keeps objects as S3 has them, under signatures that AWS’s own library checks', async () => {
  const storage = storageOf(writer, '{"StorageClass": "STANDARD_IA", "ServerSideEncryption": "AES256"}');
  const bytes = randomBytes(100_000);
  expect(await storage.get('objects/a+b', 1_000_000)).toBeNull();
  await storage.put('objects/a+b', bytes);
  expect(await storage.get('objects/a+b', 1_000_000)).toEqual(bytes);
  expect(await storageOf(reader).get('objects/a+b', 1_000_000)).toEqual(bytes);
  await expect(storage.get('objects/a+b', 1_000)).rejects.toThrow('longer than 1000 bytes');
  // What is refused is told as S3 tells it.
  await expect(storageOf(reader).put('objects/a+b', bytes)).rejects.toThrow(/answered 403 .*AccessDenied/);
  await expect(storageOf({ ...reader, secretAccessKey: 'wrong' }).get('objects/a+b', 1)).rejects.toThrow(
    /answered 403 .*SignatureDoesNotMatch/,
  );
  await storage.delete('objects/a+b');
  await storage.delete('objects/a+b');
  expect(await storage.get('objects/a+b', 1_000_000)).toBeNull();
});

it('a data plane that starts while there is no control plane serves what the control plane put into the bucket', async () => {
  Object.assign(process.env, environment(writer));
  const control = await cluster.controlPlane({
    cluster_fallback_config_export: 'on',
    cluster_fallback_config_export_delay: '600',
    cluster_fallback_config_storage: PLACE,
  });
  running.push(control);
  const { port } = upstream.address() as AddressInfo;
  await admin(`${control.admin}/services`, 'POST', { name: 'up', url: `http://127.0.0.1:${port}` });
  await admin(`${control.admin}/services/up/routes`, 'POST', { paths: ['/from-the-bucket'] });
  // What has not had its turn goes out with the last of it.
  await control.end('SIGTERM');

  Object.assign(process.env, environment(reader));
  const node = await cluster.dataPlane('by-s3', {
    data_plane_host: 'node',
    cluster_fallback_config_import: 'on',
    cluster_fallback_config_storage: PLACE,
  });
  running.push(node);
  const served = async () => (await fetch(`${node.proxy}/from-the-bucket`)).status === 200;
  await until(served, `the route from the bucket; ${node.output()}`, 60_000);
});
