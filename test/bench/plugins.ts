import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { admin } from '../e2e/processes.ts';
import { startSink } from './sink.ts';

/** A route with plugins, and what its requests carry. */
export interface PluginScenario {
  readonly name: string;
  readonly path: string;
  readonly headers: readonly string[];
  /** File of header lines, of which each request has the next. */
  readonly lines?: string;
  /** A header line with which the route answers 200 once everything is there. */
  readonly probe?: string;
}

export const PLUGIN_SCENARIOS = [
  'plugins: none',
  'plugins: key-auth',
  'plugins: jwt, the same token',
  'plugins: jwt, a new token each time',
  'plugins: pre-function, three calls',
  'plugins: http-log, batches of 200',
  'plugins: eight together',
  'plugins: prometheus, all families',
  'plugins: opentelemetry, 1 % sampled',
  'plugins: opentelemetry, all sampled',
  'plugins: request-transformer, plain',
  'plugins: request-transformer, Lua',
  'plugins: 10 KB of JSON, none',
  'plugins: 10 KB of JSON, response-transformer',
  'plugins: 10 KB of JSON, proxy-cache hit',
] as const;

/** More than are remembered as verified. */
const TOKENS = 30_000;
const KEY = 'plugins-bench-key';

/** The routes of the scenarios, on the service `bench`, made through the Admin API. */
export async function pluginScenarios(
  api: string,
): Promise<{ readonly scenarios: readonly PluginScenario[]; stop(): void }> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast bench '));
  const sink = await startSink();
  const post = (path: string, body: object) => admin(`${api}${path}`, 'POST', body);
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const token = (n: number): string => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${part({ alg: 'ES256', typ: 'JWT' })}.${part({ iss: 'issuer', jti: n })}`;
    const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `Authorization: Bearer ${signed}.${signature.toString('base64url')}`;
  };
  const lines = join(folder, 'tokens');
  const tokens: string[] = [];
  while (tokens.length < TOKENS) {
    tokens.push(token(tokens.length));
    // Kept connections are closed meanwhile, which has to be noticed.
    if (tokens.length % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  writeFileSync(lines, tokens.join('\n'));
  await post('/consumers', { username: 'plugins-bench' });
  await post('/consumers/plugins-bench/key-auth', { key: KEY });
  await post('/consumers/plugins-bench/acls', { group: 'benched' });
  await post('/consumers/plugins-bench/jwt', {
    key: 'issuer',
    algorithm: 'ES256',
    rsa_public_key: publicKey.export({ type: 'spki', format: 'pem' }),
  });

  const scenarios: PluginScenario[] = [];
  const scenario = async (
    place: number,
    plugins: readonly (readonly [string, object])[],
    { service = 'bench', ...more }: Partial<PluginScenario> & { readonly service?: string } = {},
  ): Promise<void> => {
    const path = more.path ?? `/plugins-${place}`;
    const route = await post(`/services/${service}/routes`, { paths: [path] });
    for (const [name, config] of plugins) await post(`/routes/${route.id}/plugins`, { name, config });
    scenarios.push({ name: PLUGIN_SCENARIOS[place] ?? path, path, headers: [], ...more });
  };
  const calls = `kong.service.request.set_header('X-Seen', kong.request.get_method() .. kong.request.get_path())
    kong.ctx.shared.seen = true`;
  const queue = { max_batch_size: 200, max_coalescing_delay: 1 };
  const log = ['http-log', { http_endpoint: `http://127.0.0.1:${sink.port}/`, queue }] as const;
  const apikey = `apikey: ${KEY}`;
  await scenario(0, []);
  await scenario(1, [['key-auth', {}]], { headers: [apikey] });
  await scenario(2, [['jwt', {}]], { headers: [token(-1)] });
  await scenario(3, [['jwt', {}]], { lines });
  await scenario(4, [['pre-function', { access: [calls] }]]);
  await scenario(5, [log]);
  await scenario(
    6,
    [
      ['key-auth', {}],
      ['acl', { allow: ['benched'] }],
      ['correlation-id', {}],
      ['cors', {}],
      ['ip-restriction', { allow: ['127.0.0.0/8'] }],
      ['bot-detection', {}],
      ['request-transformer', { add: { headers: ['x-a:b'] } }],
      log,
    ],
    { headers: [apikey] },
  );
  const families = ['status_code', 'latency', 'bandwidth', 'upstream_health'].map((name) => [`${name}_metrics`, true]);
  await scenario(7, [['prometheus', { ...Object.fromEntries(families), per_consumer: true }]]);
  for (const [place, sampling_rate] of [
    [8, 0.01],
    [9, 1],
  ] as const) {
    const traces_endpoint = `http://127.0.0.1:${sink.port}/v1/traces`;
    await scenario(place, [['opentelemetry', { traces_endpoint, sampling_rate }]]);
  }
  const { host, port } = await admin(`${api}/services/bench`);
  await post('/services', { name: 'bench-json', host, port, path: '/json' });
  const rules = { add: { headers: ['x-a:b'], querystring: ['q:1'] }, remove: { headers: ['accept'] } };
  const template = "$((headers['accept'] or ''):upper())";
  await scenario(10, [['request-transformer', rules]]);
  await scenario(11, [['request-transformer', { add: { headers: [`x-a:${template}`] } }]]);
  const json = { add: { json: ['added:1'] }, remove: { json: ['note'] } };
  await scenario(12, [], { service: 'bench-json' });
  await scenario(13, [['response-transformer', json]], { service: 'bench-json' });
  // nginx keeps what is under this path as well.
  const kept = { strategy: 'memory', content_type: ['application/json'], cache_ttl: 3600 };
  await scenario(14, [['proxy-cache', kept]], { service: 'bench-json', path: '/cached' });
  return {
    scenarios,
    stop() {
      sink.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
