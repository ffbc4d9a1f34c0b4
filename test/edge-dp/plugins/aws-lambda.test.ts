import { describe, expect, it } from 'vitest';
import { OwnResponse } from '../../../edge-dp/http/messages.ts';
import { proxyResponse } from '../../../edge-dp/plugins/aws/proxy-response.ts';
import awsLambda from '../../../edge-dp/plugins/aws-lambda.ts';
import { qualified } from '../../../edge-dp/plugins/runtime/plugin.ts';
import type { OutgoingRequest, Services } from '../../../edge-dp/plugins/runtime/services.ts';
import { signatureHeaders } from '../../../edge-dp/plugins/signature-v4.ts';
import type { AwsLambdaConfig } from '../../../shared/plugins/aws-lambda.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';

const CONFIG: AwsLambdaConfig = {
  timeout: 60_000,
  keepalive: 60_000,
  aws_key: null,
  aws_secret: null,
  aws_assume_role_arn: null,
  aws_role_session_name: 'kong',
  aws_sts_endpoint_url: null,
  aws_region: 'eu-west-1',
  function_name: 'fn',
  qualifier: null,
  invocation_type: 'RequestResponse',
  log_type: 'Tail',
  host: null,
  port: 443,
  disable_https: false,
  unhandled_status: null,
  forward_request_method: false,
  forward_request_uri: false,
  forward_request_headers: false,
  forward_request_body: false,
  is_proxy_integration: false,
  awsgateway_compatible: false,
  proxy_url: null,
  skip_large_bodies: true,
  base64_encode_body: true,
  aws_imds_protocol_version: 'v1',
  empty_arrays_mode: 'legacy',
};

/** Answers by what a URL holds; else 404. */
type Answers = Readonly<Record<string, () => OwnResponse>>;

/** The plugin on a node with that environment, among those servers. */
function plugin(
  config: Partial<AwsLambdaConfig>,
  answers: Answers,
  environment: Readonly<Record<string, string>> = {},
) {
  const sent: OutgoingRequest[] = [];
  const log: string[] = [];
  const services: Partial<Services> = {
    log: (level, message) => void log.push(`${level} ${message}`),
    vaults: {
      async secret(reference) {
        const name = reference.slice('{vault://env/'.length, -1).replaceAll('-', '_').toUpperCase();
        const value = environment[name];
        return value === undefined ? { value: null, missing: 'unset' } : { value, missing: null };
      },
    },
    async fetch(request) {
      sent.push(request);
      const found = Object.entries(answers).find(([part]) => request.url.includes(part));
      return found?.[1]() ?? new OwnResponse(404, '');
    },
  };
  const hooks = awsLambda.compile({ ...CONFIG, ...config }, EVERYWHERE, fakeServices(services));
  return {
    sent,
    log,
    async call(...request: Parameters<typeof fakeRequest>) {
      const answer = await hooks.access?.(fakeRequest(...request));
      return answer === undefined ? expect.fail('no answer') : qualified(answer).response;
    },
  };
}

const json = (value: unknown) => () =>
  new OwnResponse(200, JSON.stringify(value), { 'content-type': 'application/json' });
const FUNCTION: Answers = { '/functions/': json({ k: 'v' }) };
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

const UNRESERVED = '-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SESSION_TOKEN =
  'AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==';

describe('aws-lambda', () => {
  // AWS's test suite of Signature Version 4, as botocore has it, without what signs other headers or leaves dots and double slashes in
  // paths, which no request here has. Its requests have their paths before escaping.
  it.each([
    ['get-vanilla', '', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
    [
      'get-vanilla-empty-query-key',
      'Param1=value1',
      'a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb',
    ],
    [
      'get-vanilla-query-order-key',
      'Param1=value2&Param1=Value1',
      'eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1',
    ],
    [
      'get-vanilla-query-order-key-case',
      'Param2=value2&Param1=value1',
      'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    ],
    [
      'get-vanilla-query-order-value',
      'Param1=value2&Param1=value1',
      '5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694',
    ],
    [
      'get-vanilla-query-unreserved',
      `${UNRESERVED}=${UNRESERVED}`,
      '9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197',
    ],
    [
      'get-vanilla-query-order-encoded',
      'Param-3=Value3&Param=Value2&%E1%88%B4=Value1',
      '371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac',
    ],
    ['get-vanilla-utf8-query', '%E1%88%B4=bar', '2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04'],
    ['get-unreserved', '', '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f', `/${UNRESERVED}`],
    ['get-utf8', '', '8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85', '/ሴ'],
    ['get-space', '', '652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741', '/example space/'],
    [
      'get-special-character',
      '',
      'a853c9b21b528b19643d00910d35b83a10c366a10833ceefb45edd6c80e40f27',
      '/example/$delete',
    ],
    ['post-vanilla', '', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
    ['post-vanilla-query', 'Param1=value1', '28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11'],
    ['post-sts-header-before', '', '85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead'],
  ])('signs as AWS does: %s', async (name, query, signature, path = '/') => {
    const method = name.startsWith('post') ? 'POST' : 'GET';
    const request = { method, host: 'example.amazonaws.com', path, query, body: new Uint8Array() };
    const sessionToken = name.includes('-sts-') ? SESSION_TOKEN : null;
    const key = {
      accessKeyId: 'AKIDEXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
      sessionToken,
      region: 'us-east-1',
      service: 'service',
    };
    const { Authorization } = await signatureHeaders(request, key, Date.UTC(2015, 7, 30, 12, 36, 0));
    const signed = `host;x-amz-date${sessionToken === null ? '' : ';x-amz-security-token'}`;
    expect(Authorization).toBe(
      `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=${signed}, Signature=${signature}`,
    );
  });

  it('takes keys and region from the environment where the config has none', async () => {
    const environment = {
      AWS_ACCESS_KEY_ID: 'ENVKEY',
      AWS_SECRET_ACCESS_KEY: 's',
      AWS_SESSION_TOKEN: 't',
      AWS_REGION: 'us-west-2',
    };
    const { sent, call } = plugin({ aws_region: null }, FUNCTION, environment);
    expect((await call()).status).toBe(200);
    expect(sent[0]?.url).toBe('https://lambda.us-west-2.amazonaws.com/2015-03-31/functions/fn/invocations');
    expect(sent[0]?.headers).toMatchObject({
      Authorization: expect.stringMatching(
        /Credential=ENVKEY\/\d+\/us-west-2\/lambda\/.*host;x-amz-date;x-amz-security-token/,
      ),
      'X-Amz-Security-Token': 't',
    });
    await expect(plugin({ aws_region: null }, FUNCTION).call()).rejects.toThrow('no region specified');
  });

  it('takes the role of a container before that of the instance, and asks anew only near its end', async () => {
    const role = (id: string, end = inAnHour()) =>
      json({ AccessKeyId: id, SecretAccessKey: 's', Token: 't', Expiration: end });
    const container = { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v2/x', AWS_CONTAINER_AUTHORIZATION_TOKEN: 'auth' };
    const ecs = plugin({}, { ...FUNCTION, '169.254.170.2/v2/x': role('ECSKEY') }, container);
    await ecs.call();
    await ecs.call();
    expect(ecs.sent.map(({ url }) => new URL(url).host)).toEqual([
      '169.254.170.2',
      'lambda.eu-west-1.amazonaws.com',
      'lambda.eu-west-1.amazonaws.com',
    ]);
    expect(ecs.sent[0]?.headers).toEqual({ Authorization: 'auth' });
    expect(ecs.sent[2]?.headers).toMatchObject({ Authorization: expect.stringContaining('Credential=ECSKEY/') });

    const roles = '/latest/meta-data/iam/security-credentials/';
    const ends = new Date(Date.now() + 60_000).toISOString();
    const answers = {
      ...FUNCTION,
      '/latest/api/token': () => new OwnResponse(200, 'TOKEN'),
      [`${roles}one`]: role('EC2KEY', ends),
      [roles]: () => new OwnResponse(200, 'one\n'),
    };
    const ec2 = plugin({ aws_imds_protocol_version: 'v2' }, answers);
    await ec2.call();
    expect(ec2.sent.map(({ method = 'GET', url }) => `${method} ${new URL(url).pathname}`).slice(0, 3)).toEqual([
      'PUT /latest/api/token',
      `GET ${roles}`,
      `GET ${roles}one`,
    ]);
    expect(ec2.sent[2]?.headers).toEqual({ 'X-aws-ec2-metadata-token': 'TOKEN' });
    // It ends in a minute.
    await ec2.call();
    expect(ec2.sent).toHaveLength(8);
    await expect(plugin({}, FUNCTION).call()).rejects.toThrow('http://169.254.169.254 answered 404');
    const none = plugin({}, FUNCTION, { AWS_EC2_METADATA_DISABLED: 'true' });
    await expect(none.call()).rejects.toThrow('no AWS credentials in config or environment');
  });

  it('assumes a role, goes on with it while STS fails, and says what STS says', async () => {
    let ends = 10 * 60_000;
    let working = true;
    const sts = () => {
      if (!working)
        return new OwnResponse(
          403,
          '<ErrorResponse><Error><Message>is not authorized to perform</Message></Error></ErrorResponse>',
        );
      const end = new Date(Date.now() + ends).toISOString();
      return new OwnResponse(
        200,
        `<Credentials><AccessKeyId>ROLEKEY</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t/+=</SessionToken><Expiration>${end}</Expiration></Credentials>`,
      );
    };
    const config = { aws_key: 'OWN', aws_secret: 's', aws_assume_role_arn: 'arn:aws:iam::1:role/a b' };
    const answers = { ...FUNCTION, 'sts.': sts };
    const assuming = plugin(config, answers);
    await assuming.call();
    await assuming.call();
    expect(assuming.sent.map(({ url }) => url)).toEqual([
      'https://sts.eu-west-1.amazonaws.com/',
      expect.stringContaining('https://lambda.'),
      expect.stringContaining('https://lambda.'),
    ]);
    expect(assuming.sent[0]?.headers).toMatchObject({
      Authorization: expect.stringMatching(/Credential=OWN\/.*\/sts\//),
    });
    expect(new TextDecoder().decode(assuming.sent[0]?.body as Uint8Array)).toBe(
      'Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fa+b&RoleSessionName=kong&Version=2011-06-15',
    );
    expect(assuming.sent[1]?.headers).toMatchObject({
      Authorization: expect.stringContaining('Credential=ROLEKEY/'),
      'X-Amz-Security-Token': 't/+=',
    });

    const named = plugin(
      { ...config, aws_role_session_name: 'a b', proxy_url: 'http://proxy.test:3128', timeout: 1_234 },
      answers,
    );
    await named.call();
    expect(new TextDecoder().decode(named.sent[0]?.body as Uint8Array)).toContain('&RoleSessionName=a+b&');
    expect(named.sent.at(-1)).toMatchObject({ proxy: 'http://proxy.test:3128', timeout: 1_234 });

    ends = 60_000;
    const failing = plugin(config, answers);
    await failing.call();
    working = false;
    await failing.call();
    expect(failing.log).toEqual([expect.stringContaining('AWS credentials are not renewed')]);
    await expect(plugin(config, answers).call()).rejects.toThrow(
      'https://sts.eu-west-1.amazonaws.com answered 403 is not authorized to perform',
    );
  });

  it('leaves a body out that is too long for its setting, and says so', async () => {
    const keys = { aws_key: 'k', aws_secret: 's', forward_request_body: true };
    const body = 'x'.repeat((1 << 20) + 1);
    const headers = { 'content-type': 'text/plain' };
    const bodyOf = ({ body: sent }: OutgoingRequest) =>
      JSON.parse(new TextDecoder().decode(sent as Uint8Array)).request_body;
    const skipping = plugin(keys, FUNCTION);
    await skipping.call({ method: 'POST', headers, body });
    expect(skipping.sent.map(bodyOf)).toEqual([undefined]);
    expect(skipping.log).toEqual([expect.stringContaining('the body is left out')]);
    const sending = plugin({ ...keys, skip_large_bodies: false }, FUNCTION);
    await sending.call({ method: 'POST', headers, body });
    expect(sending.sent.map(bodyOf)).toEqual([body]);
  });

  it.each(['[', '{"a":['])('says of an answer that begins %s without an end that it is too deep', (text) => {
    expect(proxyResponse(text.repeat(50_000))).toMatch(
      /^Found too many nested data structures \(1001\) at character \d+$/,
    );
    expect(proxyResponse(text.repeat(400))).toMatch(/^Expected .* but found T_END at character \d+$/);
  });

  it('sends a long body in base64 as it came', async () => {
    const keys = { aws_key: 'k', aws_secret: 's', awsgateway_compatible: true };
    const body = 'é😀'.repeat(100_000);
    const { sent, call } = plugin(keys, FUNCTION);
    expect((await call({ method: 'POST', headers: { 'content-type': 'application/x-other' }, body })).status).toBe(200);
    const event = JSON.parse(new TextDecoder().decode(sent[0]?.body as Uint8Array));
    expect(event).toMatchObject({ isBase64Encoded: true, body: Buffer.from(body).toString('base64') });
  });

  it.each([
    [{ statusCode: '201', body: 'x' }, 201],
    [{ statusCode: 200.5 }, 'statusCode validation failed'],
    [{ statusCode: 101 }, 'statusCode validation failed'],
    [{ body: 'x' }, 'statusCode validation failed'],
    [{ statusCode: 200, body: 1 }, 'body must be a string'],
    [{ statusCode: 200, body: null }, 'body must be a string'],
    [{ statusCode: 200, headers: null }, 'headers must be a table'],
    [{ statusCode: 200, isBase64Encoded: 'yes' }, 'isBase64Encoded must be a boolean'],
    [{ statusCode: 200, isBase64Encoded: true, body: '%%%' }, 'body is not base64'],
    [{ statusCode: 200, headers: { 'X-A': 'a\r\nX-B: b' } }, 'header field X-A cannot carry a line break or NUL'],
    [{ statusCode: 200, headers: { 'X A': 'a' } }, '"X A" is no name of a header field'],
    [[1], 'statusCode validation failed'],
    [7, 'proxy response must be json format'],
    [JSON.stringify({ statusCode: 202 }), 202],
    ['text', 'Expected value but found invalid token at character 1'],
    [undefined, 'Expected value but found T_END at character 1'],
  ])('reads what a function with proxy integration says: %j', (answer, expected) => {
    const read = proxyResponse(answer === undefined ? '' : JSON.stringify(answer));
    expect(typeof read === 'string' ? read : read.status).toBe(expected);
  });

  it.each([
    ['{"statusCode": 200', 'Expected comma or object end but found T_END at character 19'],
    ['{x', 'Expected object key string but found invalid token at character 2'],
    ['{"ü":1,}', 'Expected object key string but found T_OBJ_END at character 9'],
    ['{"a" 1}', 'Expected colon but found T_NUMBER at character 6'],
    ['[1 2]', 'Expected comma or array end but found T_NUMBER at character 4'],
    ['{"a":"b', 'Expected value but found unexpected end of string at character 8'],
    ['{} {}', 'Expected the end but found T_OBJ_BEGIN at character 4'],
    ['<html>', 'Expected value but found invalid token at character 1'],
  ])('says what is wrong with an answer that is no JSON: %s', (answer, expected) => {
    expect(proxyResponse(answer)).toBe(expected);
  });

  it('gives the text that a function returns without its quotes, and all else as it is', async () => {
    const answers = ['"hel\\"lo"', '{"a":[ ]}', '"broken', ''];
    const texts = answers.map(async (answer) => {
      const headers = { 'Content-Type': 'application/json' };
      const { call } = plugin({ aws_key: 'k', aws_secret: 's' }, { '/': () => new OwnResponse(200, answer, headers) });
      const { content } = await call();
      return content instanceof Uint8Array ? new TextDecoder().decode(content) : content;
    });
    expect(await Promise.all(texts)).toEqual(['hel"lo', '{"a":[ ]}', '"broken', '']);
  });
});
