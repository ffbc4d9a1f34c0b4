import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { signatureHeaders } from '../../edge-dp/plugins/signature-v4.ts';
import { id, type ProxyNode, startProxyNode } from '../edge-dp/proxy/node.ts';
import { until } from '../until.ts';
import { peerExecutable } from './peer.ts';

const REGION = 'eu-west-1';
const CONFIG = {
  timeout: 60_000,
  keepalive: 60_000,
  aws_role_session_name: 'kong',
  aws_region: REGION,
  function_name: 'fn',
  invocation_type: 'RequestResponse',
  log_type: 'Tail',
  host: '127.0.0.1',
  disable_https: true,
  forward_request_body: true,
  aws_imds_protocol_version: 'v1',
  empty_arrays_mode: 'legacy',
};
/** Calls that set the account up: who makes them is not asked. */
const SETUP_CALLS = 5;

let moto: ChildProcess;
let output = '';
let port: number;
let node: ProxyNode;

beforeAll(async () => {
  port = await freePort();
  moto = spawn(peerExecutable('moto'), ['-H', '127.0.0.1', '-p', String(port)], {
    env: { ...process.env, INITIAL_NO_AUTH_ACTION_COUNT: String(SETUP_CALLS) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [moto.stdout, moto.stderr]) stream?.on('data', (data) => (output += data));
  const listens = () =>
    fetch(`http://127.0.0.1:${port}/moto-api/`).then(
      ({ ok }) => ok,
      () => false,
    );
  await until(listens, 'moto to listen', 30_000).catch((error) => {
    throw new Error(`${error.message}; it said: ${output}`);
  });
  const simple = JSON.stringify({ lambda: { use_docker: false } });
  await fetch(`http://127.0.0.1:${port}/moto-api/config`, { method: 'POST', body: simple });
  const policy = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
  });
  const gateway = { AWS: 'arn:aws:iam::123456789012:user/gateway' };
  const trust = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: gateway, Action: 'sts:AssumeRole' }],
  });
  await iam({ Action: 'CreateUser', UserName: 'gateway' });
  await iam({ Action: 'PutUserPolicy', UserName: 'gateway', PolicyName: 'all', PolicyDocument: policy });
  const role = /<Arn>([^<]+)/.exec(
    await iam({ Action: 'CreateRole', RoleName: 'caller', AssumeRolePolicyDocument: trust }),
  )?.[1];
  await iam({ Action: 'PutRolePolicy', RoleName: 'caller', PolicyName: 'all', PolicyDocument: policy });
  const made = await iam({ Action: 'CreateAccessKey', UserName: 'gateway' });
  const aws_key = /<AccessKeyId>([^<]+)/.exec(made)?.[1] ?? expect.fail(made);
  const aws_secret = /<SecretAccessKey>([^<]+)/.exec(made)?.[1] ?? expect.fail(made);
  await createFunction(role ?? expect.fail('no role'), { accessKeyId: aws_key, secretAccessKey: aws_secret });
  const kinds: Readonly<Record<string, object>> = {
    '/keys': { aws_key, aws_secret },
    '/wrong': { aws_key, aws_secret: 'x' },
    '/role': {
      aws_key,
      aws_secret,
      aws_assume_role_arn: role,
      aws_sts_endpoint_url: `http://127.0.0.1:${port}`,
    },
  };
  node = await startProxyNode({
    routes: Object.keys(kinds).map((path, n) => ({ id: id(n + 1), paths: [path], protocols: ['http'] })),
    plugins: Object.values(kinds).map((config, n) => ({
      id: id(n + 11),
      name: 'aws-lambda',
      protocols: ['http'],
      route: { id: id(n + 1) },
      config: { ...NOTHING, ...CONFIG, port, ...config },
    })),
  });
}, 120_000);
afterAll(async () => {
  await node?.stop();
  moto?.kill();
});

/** Every field the schema has and these tests say nothing of. */
const NOTHING = Object.fromEntries(
  [
    'aws_key',
    'aws_secret',
    'aws_assume_role_arn',
    'aws_sts_endpoint_url',
    'qualifier',
    'unhandled_status',
    'proxy_url',
  ].map((name) => [name, null]),
);

it('calls a function with keys that AWS’s own library takes the signature of', async () => {
  const response = await fetch(`${node.url}/keys`, { method: 'POST', body: 'hello' });
  // moto's function gives back what it is called with.
  const event = { request_body_base64: true, request_body: 'aGVsbG8=', request_body_args: {} };
  expect([response.status, await response.text()], output).toEqual([200, JSON.stringify(event)]);
});

it('calls it as a role that it assumes', async () => {
  const response = await fetch(`${node.url}/role`);
  expect([response.status, await response.text()], output + node.log.join('\n')).toEqual([
    200,
    expect.stringContaining('request_body_args'),
  ]);
});

it('answers 500 where the signature is not right, and says why in the log', async () => {
  expect((await fetch(`${node.url}/wrong`)).status).toBe(500);
  await expect.poll(() => node.log.join('\n')).toMatch(/plugin aws-lambda .* failed in access: Lambda answered 403/);
});

/** A call of IAM by anybody. */
async function iam(parameters: Readonly<Record<string, string>>): Promise<string> {
  const body = new TextEncoder().encode(new URLSearchParams({ ...parameters, Version: '2010-05-08' }).toString());
  return await signed('iam', '/', body, 'application/x-www-form-urlencoded', {
    accessKeyId: 'x',
    secretAccessKey: 'x',
  });
}

interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

async function createFunction(role: string, keys: Keys): Promise<void> {
  const ZipFile = Buffer.from(EMPTY_ZIP).toString('base64');
  const made = { FunctionName: 'fn', Runtime: 'python3.12', Role: role, Handler: 'a.b', Code: { ZipFile } };
  const body = new TextEncoder().encode(JSON.stringify(made));
  await signed('lambda', '/2015-03-31/functions', body, 'application/json', keys);
}

/** The end of a directory of nothing. */
const EMPTY_ZIP = Uint8Array.from([0x50, 0x4b, 5, 6, ...new Array<number>(18).fill(0)]);

async function signed(
  service: string,
  path: string,
  body: Uint8Array<ArrayBuffer>,
  type: string,
  keys: Keys,
): Promise<string> {
  const request = { method: 'POST', host: `127.0.0.1:${port}`, path, query: '', body };
  const headers = await signatureHeaders(request, { ...keys, sessionToken: null, region: REGION, service }, Date.now());
  const response = await fetch(`http://${request.host}${path}`, {
    method: 'POST',
    headers: { ...headers, 'content-type': type },
    body,
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${service}: ${response.status} ${text}; moto said: ${output}`);
  return text;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: free } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return free;
}
