import { createHash, createHmac } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import hmacAuth from '../../../edge-dp/plugins/hmac-auth.ts';
import { ownBox } from '../hosts.ts';
import { type RunningGateway, startGateway } from '../proxy/gateway.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

const CONFIG = {
  hide_credentials: false,
  clock_skew: 300,
  anonymous: null,
  validate_request_body: false,
  enforce_headers: [],
  algorithms: ['hmac-sha1', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512'],
  realm: null,
} satisfies Parameters<typeof hmacAuth.compile>[0];

const SECRETS: Readonly<Record<string, string>> = {
  ada: 'engine',
  'a"da': 'quoted',
  'Ünïcode – α': 'гелий 🎈',
  long: 'x'.repeat(500),
  empty: '',
};

interface Signed {
  readonly username?: string;
  readonly secret?: string;
  readonly algorithm?: string;
  /** Lines of what is signed by name. */
  readonly lines: Readonly<Record<string, string>>;
}

function authorization({
  username = 'ada',
  secret = SECRETS[username] ?? '',
  algorithm = 'hmac-sha256',
  lines,
}: Signed) {
  const text = Object.values(lines).join('\n');
  const signature = createHmac(algorithm.slice(5), secret).update(text).digest('base64');
  return `hmac username="${username}", algorithm="${algorithm}", headers="${Object.keys(lines).join(' ')}", signature="${signature}"`;
}

const credentials = Object.fromEntries(
  Object.entries(SECRETS).map(([username, secret], n) => [
    username,
    [{ id: id(300 + n), username, secret, consumer: { id: id(401) } }],
  ]),
);
const consumers = {
  [id(401)]: [{ id: id(401), username: 'ada', custom_id: null }],
  [id(409)]: [{ id: id(409), username: 'guest', custom_id: null }],
};

/** What the plugin makes of a request: its answer's status and message, or 200. */
async function judged(config: Partial<typeof CONFIG>, headers: Readonly<Record<string, string>>, body?: string) {
  const rows = { hmacauth_credentials: credentials, consumers };
  const request = fakeRequest({ method: 'POST', target: '/a?b=c', headers, rows, ...(body !== undefined && { body }) });
  const answer = await hmacAuth.compile({ ...CONFIG, ...config }, EVERYWHERE, fakeServices()).access?.(request);
  if (answer === undefined) return 200;
  const { status, content } = 'status' in answer ? answer : answer.response;
  return `${status} ${JSON.parse(String(content)).message}`;
}

const UNVERIFIED = '401 HMAC signature cannot be verified';
const DIFFERENT = '401 HMAC signature does not match';
const UNTIMELY = `${UNVERIFIED}, a valid date or x-date header is required for HMAC Authentication`;

describe('the clock of hmac-auth', () => {
  const now = Date.UTC(2024, 1, 29, 12, 0, 0);
  afterEach(() => {
    vi.useRealTimers();
  });

  it('allows as much as is configured, both ways, and not a second more', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: now + 999 });
    for (const [seconds, outcome] of [
      [-60, 200],
      [60, 200],
      [-61, UNTIMELY],
      [61, UNTIMELY],
    ] as const) {
      for (const name of ['date', 'x-date']) {
        const date = new Date(now + seconds * 1000).toUTCString();
        const headers = { [name]: date, authorization: authorization({ lines: { [name]: `${name}: ${date}` } }) };
        expect(await judged({ clock_skew: 60 }, headers), `${name} ${seconds}`).toBe(outcome);
      }
    }
  });

  it('takes a signature as often as it comes, until its time is over', async () => {
    const date = new Date(now).toUTCString();
    const headers = { date, authorization: authorization({ lines: { date: `date: ${date}` } }) };
    vi.useFakeTimers({ toFake: ['Date'], now });
    expect([await judged({}, headers), await judged({}, headers)]).toEqual([200, 200]);
    vi.setSystemTime(now + 301_000);
    expect(await judged({}, headers)).toBe(UNTIMELY);
  });

  it('wants an HTTP date', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now });
    for (const date of [new Date(now).toISOString(), String(now / 1000), 'now', '']) {
      const headers = { date, authorization: authorization({ lines: { date: `date: ${date}` } }) };
      expect(await judged({}, headers), date).toBe(UNTIMELY);
    }
  });
});

describe('signatures of hmac-auth', () => {
  const date = new Date().toUTCString();
  const DATE = { date: `date: ${date}` };

  it('hold by every algorithm, with any secret and name', async () => {
    for (const username of Object.keys(SECRETS)) {
      for (const algorithm of CONFIG.algorithms) {
        const signed = { username, algorithm, lines: DATE };
        expect(await judged({}, { date, authorization: authorization(signed) }), `${username} ${algorithm}`).toBe(200);
        const other = { ...signed, secret: 'another' };
        expect(await judged({}, { date, authorization: authorization(other) }), `${username} ${algorithm}`).toBe(
          DIFFERENT,
        );
      }
    }
  });

  it('cover what they name, in the order they name it', async () => {
    const lines = {
      '@request-target': '@request-target: post /a?b=c',
      'request-line': 'POST /a?b=c HTTP/1.1',
      host: 'host: gateway.test',
      'X-Note': 'X-Note: zwölf, dreizehn',
      '(created)': '(created):',
      'x-missing': 'x-missing:',
      é: 'é:',
      ...DATE,
    };
    const headers = { date, 'x-note': 'zwölf, dreizehn' };
    expect(await judged({}, { ...headers, authorization: authorization({ lines }) })).toBe(200);
    for (const changed of [{ 'x-note': 'zwölf' }, { 'x-missing': 'here' }, { host: 'other.test' }]) {
      expect(await judged({}, { ...headers, ...changed, authorization: authorization({ lines }) })).toBe(DIFFERENT);
    }
  });

  it('cover all that is asked for, by an algorithm that is allowed, of somebody who is known', async () => {
    const signed = { date, authorization: authorization({ lines: DATE }) };
    expect(await judged({ enforce_headers: ['date'] as never[] }, signed)).toBe(200);
    expect(await judged({ enforce_headers: ['date', 'host'] as never[] }, signed)).toBe(UNVERIFIED);
    expect(await judged({ algorithms: ['hmac-sha512'] }, signed)).toBe(UNVERIFIED);
    expect(await judged({ algorithms: [] }, signed)).toBe(UNVERIFIED);
    for (const username of ['nobody', 'Ada', '__proto__']) {
      const headers = { date, authorization: authorization({ username, secret: 'engine', lines: DATE }) };
      expect(await judged({}, headers), username).toBe(UNVERIFIED);
    }
    for (const algorithm of ['hmac-md5', 'HMAC-SHA256', 'constructor']) {
      const authorization = `hmac username="ada", algorithm="${algorithm}", headers="date", signature="AAAA"`;
      expect(await judged({}, { date, authorization }), algorithm).toBe(UNVERIFIED);
    }
  });

  it('cover a header twice, but none so often that who need not know the secret keeps the gateway busy', async () => {
    const twice = { ...DATE, DATE: `DATE: ${date}`, 'x-note': 'x-note: twelve' };
    const headers = { date, 'x-note': 'twelve', authorization: authorization({ lines: twice }) };
    expect(await judged({}, headers)).toBe(200);
    const names = 'x-note '.repeat(1000).trim();
    const often = `hmac username="ada", algorithm="hmac-sha256", headers="${names}", signature="AAAA"`;
    expect(await judged({}, { date, 'x-note': 'x'.repeat(8000), authorization: often })).toBe(UNVERIFIED);
    expect(await judged({}, { date, 'x-note': 'x'.repeat(100), authorization: often })).toBe(DIFFERENT);
  });

  it('hold in a header that begins with a quote, as some clients send it', async () => {
    const good = authorization({ lines: DATE });
    expect(await judged({}, { date, authorization: `"${good}` })).toBe(200);
    expect(await judged({}, { date, authorization: `"${good.replace(/signature="/, '$&AAAA')}` })).toBe(DIFFERENT);
  });

  it('are refused whatever else stands in the header', async () => {
    const good = authorization({ lines: DATE });
    const hostile = [
      '',
      'hmac',
      'Basic YWRhOmVuZ2luZQ==',
      `${good}, ${good}`,
      `""${good}`,
      `"${good}"`,
      `Basic x, "${good}`,
      `${good}, extra="1"`,
      good.replace('signature="', 'signature=" '),
      good.replace('username="ada"', 'username=ada'),
      good.replace('", algorithm', '"; algorithm'),
      `hmac username="${'",'.repeat(30_000)}`,
      `hmac username="${'a", algorithm="'.repeat(5000)}`,
      `hmac username="${`a", algorithm="b", headers="c",${' '.repeat(50)}`.repeat(1000)}`,
      `${' '.repeat(60_000)}x`,
      'hmac username="'.repeat(4000),
    ];
    for (const authorization of hostile) {
      expect(await judged({}, { date, authorization }), authorization.slice(0, 200)).toMatch(/^401 HMAC signature/);
    }
  });
});

describe('hmac-auth on the wire', () => {
  let upstream: Upstream;
  let gateway: RunningGateway;

  beforeAll(async () => {
    upstream = await startUpstream();
    const route = (n: number, path: string) => ({
      id: id(100 + n),
      paths: [path],
      strip_path: false,
      protocols: ['http'],
      service: { id: id(1) },
    });
    const plugin = (n: number, route: number, config: object, name = 'hmac-auth') => ({
      id: id(200 + n),
      name,
      route: { id: id(100 + route) },
      config: name === 'hmac-auth' ? { ...CONFIG, ...config } : config,
    });
    gateway = await startGateway({
      tables: {
        services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port: upstream.port }],
        routes: [route(1, '/plain'), route(2, '/body'), route(3, '/hide'), route(4, '/either')],
        plugins: [
          plugin(1, 1, { realm: 'Zürich' }),
          plugin(2, 2, { validate_request_body: true }),
          plugin(3, 3, { hide_credentials: true }),
          plugin(4, 4, { anonymous: id(409) }),
          plugin(5, 4, { anonymous: id(409), hide_credentials: false, realm: 'service' }, 'basic-auth'),
        ],
      },
      lazy: {
        hmacauth_credentials: credentials,
        consumers,
        basicauth_credentials: {
          ada: [
            {
              id: id(350),
              username: 'ada',
              password: createHash('sha1')
                .update(`engine${id(401)}`)
                .digest('hex'),
              consumer: { id: id(401) },
            },
          ],
        },
      },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  const send = async (line: string, headers: Readonly<Record<string, string>>, body = '') => {
    upstream.seen.length = 0;
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const answer = await gateway.raw(Buffer.from(`${line} HTTP/1.1\r\nHost: a.test\r\n${lines.join('')}\r\n${body}`));
    return { status: Number(answer.slice(9, 12)), answer, request: upstream.seen[0] };
  };
  const date = new Date().toUTCString();
  const signedLine = (line: string) =>
    authorization({ lines: { date: `date: ${date}`, 'request-line': `${line} HTTP/1.1` } });

  it('verifies the request target as it was sent, where the runtime shows it so', async () => {
    const onNode = ownBox === 'node';
    const cases: readonly (readonly [target: string, status: number])[] = [
      ['/plain', 200],
      ['/plain?', 200],
      ['/plain/a%2fb?x=%41&&y', 200],
      [`/plain/~a;b='"|{}^'`, 200],
      ['/plain//x', 200],
      ['/plain/ü', onNode ? 400 : 200],
      ['/plain/../plain', onNode ? 200 : 401],
      ['/plain/./x', onNode ? 200 : 401],
    ];
    for (const [target, status] of cases) {
      const line = `GET ${target}`;
      expect((await send(line, { Date: date, Authorization: signedLine(line) })).status, target).toBe(status);
    }
  });

  it('tells the upstream who it is, in any alphabet, and clients the realm', async () => {
    const asSent = (text: string) => Buffer.from(text).toString('latin1');
    const username = 'Ünïcode – α';
    const signed = authorization({ username, lines: { 'x-note': 'x-note: Größe' } });
    const { request } = await send('GET /plain', { Date: date, 'X-Note': 'Größe', Authorization: signed });
    expect(request?.all('X-Credential-Identifier')).toEqual([asSent(username)]);
    expect(request?.all('X-Consumer-Username')).toEqual(['ada']);
    const { answer } = await send('GET /plain', { Date: date });
    expect(answer).toContain(`\r\nWWW-Authenticate: ${asSent('hmac realm="Zürich"')}\r\n`);
  });

  it('verifies the digest of a body, however it is sent', async () => {
    const digest = (body: string) => `SHA-256=${createHash('sha256').update(body).digest('base64')}`;
    const post = (body: string, headers: Readonly<Record<string, string>>, chunked = false) => {
      const sent = chunked ? `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n0\r\n\r\n` : body;
      const framing: Record<string, string> = chunked
        ? { 'Transfer-Encoding': 'chunked' }
        : { 'Content-Length': String(Buffer.byteLength(body)) };
      const lines = {
        date: `date: ${date}`,
        ...(headers.Digest !== undefined && { digest: `digest: ${headers.Digest}` }),
      };
      return send('POST /body', { Date: date, Authorization: authorization({ lines }), ...headers, ...framing }, sent);
    };
    for (const chunked of [false, true]) {
      const good = await post('{"é":1}', { Digest: digest('{"é":1}') }, chunked);
      expect(good.status, good.answer).toBe(200);
      expect(good.request?.body).toContain(Buffer.from('{"é":1}').toString('latin1'));
      expect((await post('{"é":2}', { Digest: digest('{"é":1}') }, chunked)).answer).toContain(DIFFERENT.slice(4));
      expect((await post('{"é":1}', {}, chunked)).answer).toContain(DIFFERENT.slice(4));
    }
    const sha512 = `SHA-512=${createHash('sha512').update('a').digest('base64')}`;
    for (const other of ['', digest('a').toLowerCase(), digest('a').slice(8), `${digest('a')}, ${sha512}`, sha512]) {
      expect((await post('a', { Digest: other })).status, other).toBe(401);
    }
    expect((await post('', {})).status).toBe(200);
    expect(
      (
        await send(
          'POST /body',
          {
            Date: date,
            Authorization: authorization({ lines: { date: `date: ${date}` } }),
            'Transfer-Encoding': 'chunked',
          },
          '0\r\n\r\n',
        )
      ).status,
    ).toBe(200);
    const long = 'x'.repeat((8 << 20) + 1);
    const tooLong = await post(long, { Digest: digest(long) });
    expect(tooLong.status).toBe(413);
    expect(tooLong.answer).toContain('The digest of a request body is verified up to 8388608 bytes');
    const longest = long.slice(1);
    expect((await post(longest, { Digest: digest(longest) })).status).toBe(200);
  });

  it('hides the header that counted', async () => {
    const signed = authorization({ lines: { date: `date: ${date}` } });
    const own = await send('GET /hide', { Date: date, Authorization: signed, 'Proxy-Authorization': 'Bearer x' });
    expect(own.request?.all('Authorization')).toEqual([]);
    expect(own.request?.raw).not.toContain('signature=');
    const proxy = await send('GET /hide', { Date: date, Authorization: 'Bearer kept', 'Proxy-Authorization': signed });
    expect(proxy.request?.header('Authorization')).toBe('Bearer kept');
    expect(proxy.request?.raw).not.toContain('signature=');
  });

  it('is one of several ways in with an anonymous consumer', async () => {
    const signed = authorization({ username: 'long', lines: { date: `date: ${date}` } });
    const bySignature = await send('GET /either', { Date: date, Authorization: signed });
    expect(bySignature.request?.header('X-Credential-Identifier')).toBe('long');
    expect(bySignature.request?.all('X-Anonymous-Consumer')).toEqual([]);
    const byPassword = await send('GET /either', { Date: date, Authorization: 'Basic YWRhOmVuZ2luZQ==' });
    expect(byPassword.request?.header('X-Credential-Identifier')).toBe('ada');
    for (const wrong of [{}, { Date: date, Authorization: signed.replace('signature="', 'signature="A') }]) {
      const { request } = await send('GET /either', wrong);
      expect(request?.header('X-Consumer-Username')).toBe('guest');
      expect(request?.header('X-Anonymous-Consumer')).toBe('true');
    }
    expect(gateway.log.join('\n')).not.toMatch(/engine|signature=/);
  });
});
