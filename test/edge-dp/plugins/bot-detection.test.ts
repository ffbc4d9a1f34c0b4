import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import botDetection from '../../../edge-dp/plugins/bot-detection.ts';
import { isKnownBot } from '../../../edge-dp/plugins/known-bots.ts';
import { type RunningGateway, startGateway } from '../proxy/gateway.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';

const CHROME = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36';

/** Gives the status a User-Agent is answered with; null: it may pass. */
function refusals(config: Parameters<typeof botDetection.compile>[0]) {
  const hooks = botDetection.compile(config, EVERYWHERE, fakeServices());
  return async (userAgent: string | null): Promise<number | null> => {
    const answer = await hooks.access?.(
      fakeRequest({ headers: userAgent === null ? {} : { 'User-Agent': userAgent } }),
    );
    if (answer === undefined) return null;
    return 'status' in answer ? answer.status : answer.response.status;
  };
}

describe('bot-detection', () => {
  it.each([
    'Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)',
    'facebookexternalhit/1.1',
    'Mozilla/5.0 (X11) Gecko (via Google (+https://x) /+/web/snippet)',
    'Boto/2.6.0',
    'aws-sdk-dotnet-45/2.0.2.2',
    'aws-cli/1.4.2 Python/2.7',
    'Mozilla/5.0 (X11) Chrome/79.0 Safari/537.36 PTST/190628.170501',
    'Mozilla/5.0 (X11) PTST/187',
    'Opera/9 (x; /Ant-Nutch-1.0)',
    'x /NiceBot 2',
    'Y!J-BRW/1.0',
    'Argus/1.1 (Nutch; http://example.test)',
    'Mozilla/4.0 (compatible; MSIE 7.0b; Windows NT; MSIECrawler)',
    'python-httpx (Apache-HttpClient)',
    'okhttp/4.9',
    'unirest-java/1.3.11',
    'Accoona-AI-Agent/1.1.2',
    'Mozilla/5.0 (compatible; archive.org_bot)',
    'baiduspider-image-x',
    'Mozilla/5.0 (favicons)',
    'Mozilla/5.0 (compatible; IP2abcBot)',
    'Microsoft URL Bot',
    'NING/1.0',
    'Xenu\u2019s Link Sleuth',
    'Mozilla/5.0 (compatible; YandexBot/3.0)',
    'AnyBot/1',
    'page indexer 2.0',
    'My SpIdEr',
    'Screen scraper',
  ])('knows %s', (userAgent) => {
    expect(isKnownBot(userAgent)).toBe(true);
  });

  it.each([
    CHROME,
    'Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile/15E148 Safari/604.1',
    'Mozilla/5.0 (Windows NT 10.0; rv:121.0) Gecko/20100101 Firefox/121.0',
    'curl/8.4.0',
    'Wget/1.21',
    'python-requests/2.31.0',
    'facebookexternalhit',
    'aws-cli',
    'PTST/187 x',
    'a NING',
    'robot',
    'Yandex',
    '/+/web/snippet Google',
    'WeSEE',
    'favicon\u00e9',
    '',
  ])('does not take %j for a bot', (userAgent) => {
    expect(isKnownBot(userAgent)).toBe(userAgent === 'favicon\u00e9');
  });

  it('asks what is allowed first, then what is denied, then what is known', async () => {
    const refused = refusals({ allow: ['^Googlebot/2', '(?i)trusted'], deny: ['(?i)hello', 'Bücher', '^$'] });
    for (const userAgent of ['Googlebot/2.1', 'hello TRUSTED', CHROME, null])
      expect(await refused(userAgent)).toBeNull();
    for (const userAgent of ['Googlebot/3.1', 'Hello', 'der Bücherwurm', '', ' HELLO ']) {
      expect(await refused(userAgent), String(userAgent)).toBe(403);
    }
    const plain = refusals({ allow: null, deny: null });
    expect([await plain(CHROME), await plain('bingbot/2.0')]).toEqual([null, 403]);
  });

  it('refuses what is more than one User-Agent', async () => {
    const refused = refusals({ allow: ['good'], deny: [] });
    for (const userAgent of ['good, x', `${CHROME}, ${CHROME}`, 'a (b), c', 'a (b\\(), c', 'a ), c']) {
      expect(await refused(userAgent), userAgent).toBe(400);
    }
    for (const userAgent of [CHROME, 'a (b, c)', 'a (b (c), d)', 'a (b\\), c)', 'a,b', 'a (b, c']) {
      expect(await refused(userAgent), userAgent).toBeNull();
    }
  });

  it('gives the same answer however often it is asked, and whatever was asked in between', async () => {
    const refused = refusals({ allow: [], deny: ['x9999$'] });
    for (const round of [1, 2]) {
      for (let n = 9000; n < 11_000; n++) {
        const verdict = await refused(`agent x${n}`);
        if (verdict !== (n === 9999 ? 403 : null)) expect.fail(`x${n} in round ${round}: ${verdict}`);
      }
    }
  });

  it('is a configuration that is refused by name where a pattern is none', () => {
    expect(() => botDetection.compile({ allow: [], deny: ['(a'] }, EVERYWHERE, fakeServices())).toThrow(
      "'(a' is no regular expression",
    );
  });
});

describe('bot-detection on the wire', () => {
  const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
  let upstream: Upstream;
  let gateway: RunningGateway;

  beforeAll(async () => {
    upstream = await startUpstream();
    const plugin = (n: number, place: object, config: object) => ({
      id: id(n),
      name: 'bot-detection',
      config,
      ...place,
    });
    const route = (n: number, path: string) => ({
      id: id(n),
      paths: [path],
      protocols: ['http'],
      service: { id: id(1) },
    });
    gateway = await startGateway({
      tables: {
        services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port: upstream.port }],
        routes: [route(101, '/global'), route(102, '/route')],
        plugins: [
          plugin(201, {}, { allow: [], deny: ['Bücher'] }),
          plugin(202, { route: { id: id(102) } }, { allow: ['bot'], deny: [] }),
        ],
      },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  const status = async (path: string, ...userAgents: (string | Buffer)[]) => {
    const lines = userAgents.map((each) =>
      Buffer.concat([Buffer.from('User-Agent: '), Buffer.from(each), Buffer.from('\r\n')]),
    );
    const head = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: a\r\n`);
    const answer = await gateway.raw(Buffer.concat([head, ...lines, Buffer.from('\r\n')]));
    return Number(answer.slice(9, 12));
  };

  it('reads any bytes, and several lines for what they are', async () => {
    expect(await status('/global', 'der Bücherwurm')).toBe(403);
    expect(await status('/global', Buffer.from('der Büchse', 'latin1'))).toBe(200);
    expect(await status('/global', CHROME, 'bingbot/2.0')).toBe(400);
    expect(await status('/global', '')).toBe(200);
    expect(await status('/global', 'x'.repeat(8_000))).toBe(200);
    expect(await status('/global', `${'x'.repeat(8_000)} bingbot`)).toBe(403);
    expect(await status('/route', 'bingbot/2.0')).toBe(200);
    expect(await status('/route', 'der Bücherwurm')).toBe(200);
    expect(await status('/nowhere', 'bingbot/2.0')).toBe(404);
  });
});
