import { afterAll, beforeAll, expect, it } from 'vitest';
import { id, type ProxyNode, startProxyNode } from '../edge-dp/proxy/node.ts';
import { type Keys, type Moto, REGION, startMoto } from './moto.ts';

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

let moto: Moto;
let node: ProxyNode;

beforeAll(async () => {
  moto = await startMoto(SETUP_CALLS);
  const simple = JSON.stringify({ lambda: { use_docker: false } });
  await fetch(`${moto.url}/moto-api/config`, { method: 'POST', body: simple });
  const keys = await moto.user('gateway', '*');
  const gateway = { AWS: 'arn:aws:iam::123456789012:user/gateway' };
  const trust = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: gateway, Action: 'sts:AssumeRole' }],
  });
  const policy = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
  });
  const role = /<Arn>([^<]+)/.exec(
    await moto.iam({ Action: 'CreateRole', RoleName: 'caller', AssumeRolePolicyDocument: trust }),
  )?.[1];
  await moto.iam({ Action: 'PutRolePolicy', RoleName: 'caller', PolicyName: 'all', PolicyDocument: policy });
  await createFunction(role ?? expect.fail('no role'), keys);
  const { accessKeyId: aws_key, secretAccessKey: aws_secret } = keys;
  const kinds: Readonly<Record<string, object>> = {
    '/keys': { aws_key, aws_secret },
    '/wrong': { aws_key, aws_secret: 'x' },
    '/role': {
      aws_key,
      aws_secret,
      aws_assume_role_arn: role,
      aws_sts_endpoint_url: moto.url,
    },
  };
  node = await startProxyNode({
    routes: Object.keys(kinds).map((path, n) => ({ id: id(n + 1), paths: [path], protocols: ['http'] })),
    plugins: Object.values(kinds).map((config, n) => ({
      id: id(n + 11),
      name: 'aws-lambda',
      protocols: ['http'],
      route: { id: id(n + 1) },
      config: { ...NOTHING, ...CONFIG, port: moto.port, ...config },
    })),
  });
}, 120_000);
afterAll(async () => {
  await node?.stop();
  moto?.stop();
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
  expect([response.status, await response.text()], moto.said()).toEqual([200, JSON.stringify(event)]);
});

it('calls it as a role that it assumes', async () => {
  const response = await fetch(`${node.url}/role`);
  expect([response.status, await response.text()], moto.said() + node.log.join('\n')).toEqual([
    200,
    expect.stringContaining('request_body_args'),
  ]);
});

it('answers 500 where the signature is not right, and says why in the log', async () => {
  expect((await fetch(`${node.url}/wrong`)).status).toBe(500);
  await expect.poll(() => node.log.join('\n')).toMatch(/plugin aws-lambda .* failed in access: Lambda answered 403/);
});

async function createFunction(role: string, keys: Keys): Promise<void> {
  const ZipFile = Buffer.from(EMPTY_ZIP).toString('base64');
  const made = { FunctionName: 'fn', Runtime: 'python3.12', Role: role, Handler: 'a.b', Code: { ZipFile } };
  const body = new TextEncoder().encode(JSON.stringify(made));
  await moto.signed('lambda', '/2015-03-31/functions', body, 'application/json', keys);
}

/** The end of a directory of nothing. */
const EMPTY_ZIP = Uint8Array.from([0x50, 0x4b, 5, 6, ...new Array<number>(18).fill(0)]);
