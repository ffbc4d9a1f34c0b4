import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

import { kCurrentWorker, Miniflare, type MiniflareOptions, Response as MiniflareResponse } from 'miniflare';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';

import { devSettings } from '../../cp/commands/dev-settings.ts';
import { overEdited } from '../../cp/edge/over-edited.ts';
import { controlPlaneProblems } from '../../cp/edge/seen-from-cloudflare.ts';
import { type EdgeFacts, factsIn, wranglerConfig } from '../../cp/edge/wrangler-file.ts';
import { loadSettings } from '../../cp/settings/load.ts';
import { recordOrEmpty } from '../../shared/record.ts';
import { authority } from '../cp/pki/authority.ts';
import { runControlPlane } from '../cp/running-control-plane.ts';
import { freePorts } from '../free-port.ts';
import { admin, runHoldfast } from './processes.ts';

const KV = '0f2ac74b498b48028cb68387c421e279';
const CERTIFICATE = '99f5fef1-6cc1-46b8-bd79-44a0d5082b8d';

it('deploys to a simulated account what edge init writes: refuses to serve unfinished, then is linked over mutual TLS, serves, and tells by data center what it served', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast edge '));
  const [cluster, publicCa] = await Promise.all([authority('cluster root'), authority('public CA')]);
  const [own, shown, client, stranger] = await Promise.all([
    cluster.leaf({ usages: ['serverAuth'] }),
    publicCa.leaf({ usages: ['serverAuth'], name: 'edge.cp.test' }),
    cluster.leaf({ usages: ['clientAuth'], name: 'edge' }),
    publicCa.leaf({ usages: ['clientAuth'], name: 'edge' }),
  ]);
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const link = {
    cluster_mtls: 'pki',
    cluster_cert: file('cp.crt', own.cert),
    cluster_cert_key: file('cp.key', own.key),
    cluster_ca_cert: file('ca.crt', cluster.pem),
    cluster_server_cert: file('public.crt', shown.cert),
    cluster_server_cert_key: file('public.key', shown.key),
  };
  const [telemetryPort = 0] = await freePorts(1);
  const plane = await runControlPlane({ ...link, cluster_telemetry_listen: `127.0.0.1:${telemetryPort}` });
  const upstream = createServer((request, response) => response.end(`upstream saw ${request.url}`));
  await new Promise<void>((listening) => upstream.listen(0, '127.0.0.1', listening));
  onTestFinished(async () => {
    upstream.closeAllConnections();
    upstream.close();
    await plane.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  await admin(`${plane.admin}/services/s`, 'PUT', { url: upstreamUrl });
  await admin(`${plane.admin}/services/s/routes/r`, 'PUT', { paths: ['/hello'] });

  const { port } = plane.plane.cluster ?? { port: 0 };
  const origin = `https://edge.cp.test:${port}`;
  const telemetry = `https://edge.cp.test:${telemetryPort}`;
  const settings = {
    ...link,
    role: 'control_plane',
    prefix: plane.settings.prefix,
    cluster_listen: `127.0.0.1:${port}`,
    bundle_signing_key: plane.settings.bundle_signing_key ?? '',
  };
  const edge = join(folder, 'edge');
  const run = (...words: string[]) => runHoldfast(['edge', ...words], settings, folder);
  const configuration = () => recordOrEmpty(JSON.parse(readFileSync(join(edge, 'wrangler.json'), 'utf8')));

  const first = await run('init', edge, '--telemetry', telemetry, '--route', 'api.test/*');
  expect(first).toMatchObject({ code: 0, output: expect.stringContaining('wrangler kv namespace create holdfast') });
  const begun = configuration();
  expect(await run('check', edge)).toMatchObject({
    code: 1,
    output: expect.stringMatching(
      /kv_namespaces: there is no id yet[\s\S]*mtls_certificates: there is no id yet[\s\S]*edge\.cp\.test.*does not resolve/,
    ),
  });
  const edited = {
    ...begun,
    account_id: 'of somebody',
    compatibility_date: '2020-01-01',
    observability: { enabled: true, head_sampling_rate: 0.1 },
    kv_namespaces: [{ binding: 'MINE', id: 'of theirs' }],
    vars: { ...recordOrEmpty(begun.vars), REGION: 'eu' },
  };
  writeFileSync(join(edge, 'wrangler.json'), JSON.stringify(edited));
  const second = await run('init', edge, '--kv', KV, '--certificate', CERTIFICATE, '--status-path', '/-/holdfast');
  expect(second).toMatchObject({ code: 0, output: expect.stringContaining('secret put STATUS_TOKEN') });
  expect(second.output).toMatch(/now otherwise than it was: compatibility_date, kv_namespaces, SETTINGS\.status$/m);
  const finished = configuration();
  expect(finished).toMatchObject({
    account_id: 'of somebody',
    compatibility_date: begun.compatibility_date,
    observability: { head_sampling_rate: 0.1 },
    kv_namespaces: [
      { binding: 'KV', id: KV },
      { binding: 'MINE', id: 'of theirs' },
    ],
    vars: { REGION: 'eu' },
  });
  expect(settingsOf(finished)).toMatchObject({
    controlPlaneOrigins: [origin],
    node: { id: recordOrEmpty(settingsOf(begun).node).id, host: 'cloudflare' },
    telemetry: { endpoints: 1, origins: [telemetry] },
    status: { path: '/-/holdfast' },
  });
  // Paths of people's requests are remembered there only where that is asked for, which it is of a data plane elsewhere by saying nothing.
  expect(settingsOf(finished)).toMatchObject({
    proxy: expect.not.objectContaining({ replaySample: expect.anything() }),
  });
  const sampling = { ...settings, replay_sample: '20', replay_sample_headers: 'X-Region' };
  expect(await runHoldfast(['edge', 'init', edge], sampling, folder)).toMatchObject({ code: 0 });
  expect(settingsOf(configuration())).toMatchObject({ proxy: { replaySample: { size: 20, headers: ['X-Region'] } } });
  expect(await run('init', edge)).toMatchObject({ code: 0 });
  expect(configuration()).toEqual(finished);
  expect((await run('check', edge)).output.match(/^ {2}- .*/gm)).toEqual(
    [port, telemetryPort].map((one) => expect.stringMatching(`${one}.* does not resolve`)),
  );

  const looking = { pair: client, addresses: async () => ['203.0.113.7'], ca: publicCa.pem, connectTo: '127.0.0.1' };
  expect(await controlPlaneProblems(origin, looking)).toEqual([]);
  expect(await controlPlaneProblems(origin, { ...looking, ca: cluster.pem })).toEqual([
    expect.stringContaining('no other certificate than one of a public CA'),
  ]);
  expect(await controlPlaneProblems(origin, { ...looking, pair: stranger })).toEqual([
    expect.stringContaining('refuses the client certificate'),
  ]);
  expect(await controlPlaneProblems(origin, { ...looking, addresses: async () => ['104.16.1.1', '10.0.0.1'] })).toEqual(
    [expect.stringContaining("Cloudflare's proxy"), expect.stringContaining('private network')],
  );

  const built = join(folder, 'built');
  await wrangler('deploy', '--dry-run', '--outdir', built, '--config', join(edge, 'wrangler.json'));
  const account = { built, secrets: { STATUS_TOKEN: 'sesame' }, client, publicCa: publicCa.pem, port, telemetryPort };
  const cloudflare = new Miniflare(deployed(begun, account));
  onTestFinished(() => cloudflare.dispose());
  let asked = 0;
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    if (!path.startsWith('/-/')) asked++;
    const answer = await cloudflare.dispatchFetch(`http://api.test${path}`, { headers, cf: { colo: 'FRA' } });
    return { status: answer.status, text: await answer.text() };
  };
  const refused = await ask('/hello');
  expect(refused.status).toBe(503);
  expect(JSON.parse(refused.text)).toMatchObject({
    unfinished: [expect.stringContaining('CONTROL_PLANE'), expect.stringContaining('binding KV')],
  });

  asked = 0;
  const settled = { ...settingsOf(finished), newsInterval: 500 };
  await cloudflare.setOptions(deployed({ ...finished, vars: { SETTINGS: settled } }, account));
  await expect.poll(async () => (await ask('/hello/there')).text, { timeout: 60_000 }).toBe('upstream saw /there');
  const status = await ask('/-/holdfast/status', { authorization: 'Bearer sesame' });
  expect([status.status, JSON.parse(status.text)]).toMatchObject([200, { configuration_source: 'control_plane' }]);
  expect((await ask('/-/holdfast/status')).status).toBe(401);
  expect((await ask('/-/holdfast/status', { authorization: 'Bearer guessed' })).status).toBe(401);
  expect((await ask('/status')).status).toBe(404);

  // What isolates of a data center share is there, is nobody's to read, and is not believed where somebody else wrote it.
  const shared = await (await cloudflare.getCaches()).open('holdfast');
  const place = `https://copies.holdfast.invalid/nodes/${recordOrEmpty(settingsOf(finished).node).id}/news/1`;
  const read = async () => {
    await ask('/hello/there');
    return (await (await shared.match(place))?.text()) ?? '';
  };
  await expect.poll(read, { timeout: 60_000 }).not.toBe('');
  expect(await read()).not.toContain('manifest');
  await shared.put(place, new MiniflareResponse('{"at":9e15}', { headers: { 'cache-control': 'max-age=60' } }));
  await admin(`${plane.admin}/services/s/routes/later`, 'PUT', { paths: ['/later'] });
  await expect.poll(async () => (await ask('/later/on')).text, { timeout: 60_000 }).toBe('upstream saw /on');

  // What isolates of a data center count is added up by an object of theirs, and travels from there.
  const { id } = recordOrEmpty(settingsOf(finished).node);
  const state = await cloudflare.getDurableObjectNamespace('STATE');
  const sums = state.get(state.idFromName(`${id}/state/sums/FRA`));
  const told = async () => {
    const { totals } = await admin(`${plane.admin}/vitals/cluster?interval=minutes`);
    const [[total] = []] = Object.values(recordOrEmpty(totals)).map((row) => (Array.isArray(row) ? row : []));
    return total;
  };
  await expect.poll(told, { timeout: 60_000 }).toBe(asked);
  const standing = await sums.fetch('http://node/state/sums/FRA', { method: 'POST', body: '{"does":"show"}' });
  const { taken, passed } = recordOrEmpty(await standing.json());
  expect(Number(taken)).toBeGreaterThan(0);
  expect(Number(passed)).toBeGreaterThan(0);
});

it('links the Worker of edge init --dev in plain HTTP on this machine alone, and admits nobody else there', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast edge '));
  const plane = await runControlPlane({ cluster_dev_listen: '127.0.0.1:0' });
  onTestFinished(async () => {
    await plane.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const link = `http://127.0.0.1:${plane.plane.development?.port}`;
  await admin(`${plane.admin}/services/s`, 'PUT', { url: plane.admin });
  await admin(`${plane.admin}/services/s/routes/r`, 'PUT', { paths: ['/hello'] });
  const { prefix, cluster_cert, cluster_cert_key, bundle_signing_key } = plane.settings;
  const files = { prefix, cluster_cert, cluster_cert_key, bundle_signing_key };
  const settings = { role: 'control_plane', ...JSON.parse(JSON.stringify(files)) };
  const init = (origin: string) =>
    runHoldfast(['edge', 'init', 'edge', '--dev', '--control-plane', origin], settings, folder);
  expect(await init('http://10.1.2.3:8007')).toMatchObject({
    code: 2,
    output: expect.stringContaining('http://127.0.0.1:port of cluster_dev_listen'),
  });
  expect(await init(link)).toMatchObject({ code: 0, output: expect.stringContaining('npx wrangler dev --config') });
  const made = recordOrEmpty(JSON.parse(readFileSync(join(folder, 'edge/wrangler.dev.json'), 'utf8')));
  const account = {
    built: join(folder, 'edge/worker'),
    secrets: {},
    client: { cert: '', key: '' },
    publicCa: '',
    port: 0,
    telemetryPort: 0,
  };
  const developed = new Miniflare(deployed(made, account));
  onTestFinished(() => developed.dispose());
  const ask = async (client: string) => {
    const answer = await developed.dispatchFetch('http://api.test/hello', { headers: { 'cf-connecting-ip': client } });
    return { status: answer.status, text: await answer.text() };
  };
  await expect.poll(async () => (await ask('127.0.0.1')).status, { timeout: 60_000 }).toBe(200);
  // As Cloudflare says of a client: this Worker was deployed.
  expect(await ask('203.0.113.9')).toMatchObject({ status: 503, text: expect.stringContaining("for 'wrangler dev'") });
  const elsewhere = { ...settingsOf(made), controlPlaneOrigins: ['http://10.1.2.3:8007'] };
  await developed.setOptions(deployed({ ...made, vars: { SETTINGS: elsewhere } }, account));
  expect(await ask('127.0.0.1')).toMatchObject({ status: 503, text: expect.stringContaining('on this machine') });

  const head = async (headers: Record<string, string>) => {
    const asked = request(`${link}/v1/objects/${'0'.repeat(64)}`, { headers });
    const answered = once(asked.end(), 'response');
    const [answer] = await answered;
    return answer.resume().statusCode;
  };
  expect(await head({})).toBe(404);
  expect(await head({ host: 'rebound.example' })).toBe(403);
  expect(await head({ 'sec-fetch-site': 'cross-site' })).toBe(403);
  const page = new WebSocket(`${link}/v1/link`, { headers: { origin: 'https://page.example' } });
  const [{ message }] = await once(page, 'error').catch((error: Error) => [error]);
  expect(message).toContain('403');
  const nobody = new WebSocket(`${link}/v1/link`);
  await once(nobody, 'open');
  const node = { ...recordOrEmpty(settingsOf(made).node), plugins: {} };
  nobody.send(JSON.stringify({ type: 'hello', node, manifest: null }));
  expect(String((await once(nobody, 'close'))[1])).toContain('hello.proof: needed where no certificate is shown');
});

it('opens the development link at loopback alone, and only where it is asked for', async () => {
  const load = (name: string, value: string) =>
    loadSettings({ environment: { HOLDFAST_ROLE: 'traditional', [`HOLDFAST_${name.toUpperCase()}`]: value } }).settings;
  expect(load('log_level', 'info').cluster_dev_listen).toEqual([]);
  for (const address of ['0.0.0.0:8007', '192.0.2.1:8007', '[::]:8007', 'localhost:8007', 'cp.example.com:8007'])
    expect(() => load('cluster_dev_listen', address)).toThrow(/cluster_dev_listen .* is no loopback address/);
  expect(() => load('cluster_dev_listen', '127.0.0.1:8007 ssl')).toThrow("takes neither 'ssl' nor 'http2'");
  expect(load('cluster_dev_listen', '127.0.0.1:8007, [::1]:8007').cluster_dev_listen).toHaveLength(2);

  const invocation = { words: [], conf: undefined, prefix: undefined };
  const off = await devSettings({ ...invocation, options: {} }, null);
  expect(off.settings.cluster_dev_listen).toEqual([]);
  const on = await devSettings({ ...invocation, options: { wrangler: true } }, null);
  expect(on.settings.cluster_dev_listen).toMatchObject([{ host: '127.0.0.1', port: 8007 }]);
});

it('keeps what the file knows, telemetry among it, with a binding for each place that is connected to', () => {
  const facts: EdgeFacts = {
    name: 'edge',
    controlPlanes: ['https://a.test:8005', 'https://b.test:8005'],
    telemetry: ['https://a.test:8006', 'https://b.test:8006'],
    routes: ['api.test/*'],
    kv: KV,
    certificate: CERTIFICATE,
    node: '6f0a1f6e-6d2b-4f3e-9c57-0e53c25c8a11',
    statusPath: '/-/holdfast',
  };
  const settings = {
    node: { id: facts.node },
    controlPlaneOrigins: facts.controlPlanes,
    telemetry: { endpoints: 2, origins: facts.telemetry },
    status: { path: facts.statusPath },
  };
  const file = wranglerConfig(facts, settings, { date: '2026-07-01', flags: [] });
  expect(factsIn(file)).toEqual(facts);
  const zoned = { ...file, routes: [{ pattern: 'api.test/*', zone_name: 'test' }] };
  expect(overEdited(zoned, file)).toEqual(zoned);
  // As an earlier version wrote it, and wrangler refuses it.
  expect(overEdited({ ...file, routes: [{ pattern: 'api.test/*' }] }, file)).toEqual(file);
  const fewer = wranglerConfig({ ...facts, telemetry: [], routes: [] }, settings, { date: '2026-07-01', flags: [] });
  expect(overEdited(zoned, fewer)).toEqual(fewer);
  expect(file.mtls_certificates).toEqual(
    ['CONTROL_PLANE', 'CONTROL_PLANE_2', 'TELEMETRY', 'TELEMETRY_2'].map((binding) => ({
      binding,
      certificate_id: CERTIFICATE,
    })),
  );
});

function settingsOf(configuration: Readonly<Record<string, unknown>>) {
  return recordOrEmpty(recordOrEmpty(configuration.vars).SETTINGS);
}

/** Without an account, and without asking one. */
async function wrangler(...words: string[]): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'holdfast wrangler '));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [resolve('node_modules/wrangler/bin/wrangler.js'), ...words],
    { env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: 'true', HOME: home, XDG_CONFIG_HOME: home } },
  );
  return stdout;
}

interface Account {
  /** The folder of what wrangler would upload. */
  readonly built: string;
  readonly secrets: Readonly<Record<string, string>>;
  /** The uploaded client certificate, and the CAs that the network believes. */
  readonly client: { readonly cert: string; readonly key: string };
  readonly publicCa: string;
  readonly port: number;
  readonly telemetryPort: number;
}

/** A Worker with just the bindings of its configuration, as the account would give it. */
function deployed(
  configuration: Readonly<Record<string, unknown>>,
  { built, secrets, client, publicCa, port, telemetryPort }: Account,
): MiniflareOptions {
  const rows = (value: unknown) => (Array.isArray(value) ? value.map(recordOrEmpty) : []);
  const { name, compatibility_date, compatibility_flags, kv_namespaces, services, mtls_certificates } = configuration;
  const objects = rows(recordOrEmpty(configuration.durable_objects).bindings);
  const classes = rows(configuration.migrations).flatMap(({ new_sqlite_classes }) => new_sqlite_classes);
  const external = (binding: unknown) => ({
    address: `127.0.0.1:${binding === 'TELEMETRY' ? telemetryPort : port}`,
    // Miniflare takes the plaintext form first where it can.
    http: null,
    https: {
      tlsOptions: {
        keypair: { privateKey: client.key, certificateChain: client.cert },
        trustBrowserCas: false,
        trustedCertificates: [publicCa],
      },
      certificateHost: 'edge.cp.test',
    },
  });
  const main = readdirSync(built).find((file) => file === 'worker.js') ?? 'worker.js';
  return {
    host: '127.0.0.1',
    port: 0,
    cf: false,
    workers: [
      {
        name: String(name),
        modules: [
          { type: 'ESModule', path: main, contents: readFileSync(join(built, main), 'utf8') },
          ...readdirSync(built)
            .filter((file) => file.endsWith('.wasm'))
            .map((path) => ({ type: 'CompiledWasm' as const, path, contents: readFileSync(join(built, path)) })),
        ],
        compatibilityDate: String(compatibility_date),
        compatibilityFlags: Array.isArray(compatibility_flags) ? compatibility_flags.map(String) : [],
        bindings: { ...JSON.parse(JSON.stringify(configuration.vars)), ...secrets },
        kvNamespaces: Object.fromEntries(rows(kv_namespaces).map(({ binding, id }) => [binding, String(id)])),
        durableObjects: Object.fromEntries(
          objects.map(({ name: binding, class_name }) => [
            binding,
            { className: String(class_name), useSQLite: classes.flat().includes(class_name) },
          ]),
        ),
        serviceBindings: {
          ...Object.fromEntries(
            rows(services).map(({ binding, entrypoint }) => [
              binding,
              { name: kCurrentWorker, entrypoint: String(entrypoint) },
            ]),
          ),
          ...Object.fromEntries(
            rows(mtls_certificates).map(({ binding }) => [binding, { external: external(binding) }]),
          ),
        },
      },
    ],
  };
}
