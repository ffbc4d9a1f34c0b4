import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FieldList } from '../../../edge-dp/http/fields.ts';
import type { Reply } from '../../../edge-dp/plugins/runtime/reply.ts';
import { cookieOf } from '../../../edge-dp/plugins/session/cookies.ts';
import session from '../../../edge-dp/plugins/session.ts';
import type { SessionConfig } from '../../../shared/plugins/session.ts';
import { DEFAULT_WORKSPACE } from '../../../shared/workspace.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';

const CONFIG: SessionConfig = {
  secret: 'a secret of thirty-two characters',
  storage: 'cookie',
  audience: 'default',
  idling_timeout: 900,
  rolling_timeout: 3600,
  absolute_timeout: 86400,
  stale_ttl: 10,
  cookie_name: 'session',
  cookie_path: '/',
  cookie_domain: null,
  cookie_same_site: 'Strict',
  cookie_http_only: true,
  cookie_secure: true,
  remember: false,
  remember_cookie_name: 'remember',
  remember_rolling_timeout: 604800,
  remember_absolute_timeout: 2592000,
  response_headers: null,
  request_headers: null,
  read_body_for_logout: false,
  logout_methods: ['POST'],
  logout_query_arg: 'session_logout',
  logout_post_arg: 'session_logout',
};

const ROWS = {
  consumers: Object.fromEntries(
    ['ada', 'grace'].map((name) => [name, [{ id: name, username: name, ws_id: DEFAULT_WORKSPACE.id }]]),
  ),
};

/** A browser that keeps the cookies of one site, in front of one configuration of the plugin. */
class Browser {
  readonly cookies = new Map<string, string>();
  readonly services: ReturnType<typeof fakeServices>;

  constructor(services = fakeServices()) {
    this.services = services;
  }

  /** `login`: whom another plugin finds the request to be of, where the session does not say. */
  async visit(
    own: Partial<SessionConfig>,
    {
      login = null,
      groups = null,
      force = false,
      target = '/',
      method = 'GET',
      headers = {},
    }: {
      readonly login?: string | null;
      readonly groups?: readonly string[] | null;
      /** Also where the session does say. */
      readonly force?: boolean;
      readonly target?: string;
      readonly method?: string;
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    const hooks = session.compile({ ...CONFIG, ...own }, EVERYWHERE, this.services);
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const request = fakeRequest({
      target,
      method,
      headers: { ...headers, ...(cookie === '' ? {} : { cookie }) },
      rows: ROWS,
    });
    const answer = await hooks.access?.(request);
    const known = request.identity.consumer?.id ?? null;
    if ((known === null || force) && login !== null && answer === undefined) {
      const row = { id: login, username: login };
      if (groups !== null) request.identity.authenticatedGroups = groups;
      request.identity.authenticate({ ...row, custom_id: null, row }, { id: `key of ${login}`, identifier: null });
    }
    const reply = { status: 200, headers: new FieldList(), source: 'service' } as unknown as Reply;
    if (answer === undefined) await hooks.response?.(request, reply);
    const given = [...request.replyHeaders.getSetCookie(), ...reply.headers.getSetCookie()];
    for (const line of given) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (line.includes('Max-Age=0')) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return { known, given, request, reply, answered: answer !== undefined };
  }
}

const later = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1000);

describe('a session', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
  afterEach(() => void vi.useRealTimers());

  it('that was altered, is of another secret, or of another kind, is none', async () => {
    const browser = new Browser();
    const own = { remember: true };
    await browser.visit(own, { login: 'ada' });
    expect((await browser.visit(own)).known).toBe('ada');
    const [cookie, remember] = [browser.cookies.get('session') ?? '', browser.cookies.get('remember') ?? ''];
    browser.cookies.delete('remember');
    for (let at = 0; at < cookie.length; at += 3) {
      const altered = cookie.slice(0, at) + (cookie[at] === 'A' ? 'B' : 'A') + cookie.slice(at + 1);
      browser.cookies.set('session', altered);
      expect((await browser.visit(own)).known, `character ${at}`).toBeNull();
    }
    for (const wrong of ['', 'A', '%00', 'é', cookie.slice(0, -4), `${cookie}AAAA`, remember, 'x'.repeat(5000)]) {
      browser.cookies.set('session', wrong);
      expect((await browser.visit(own)).known, wrong.slice(0, 20)).toBeNull();
    }
    browser.cookies.set('session', cookie);
    expect((await browser.visit({ ...own, secret: 'another secret' })).known).toBeNull();
    browser.cookies.delete('session');
    browser.cookies.set('remember', cookie);
    expect((await browser.visit(own)).known).toBeNull();
  });

  it('ends, and is kept by the browser alone, also where config unsets what says so', async () => {
    const browser = new Browser();
    const unset = Object.fromEntries(Object.keys(CONFIG).map((name) => [name, null]));
    const own = { ...unset, secret: CONFIG.secret } satisfies Partial<SessionConfig>;
    const { given } = await browser.visit(own, { login: 'ada' });
    expect(given).toEqual([expect.stringMatching(/^session=[\w-]+; Path=\/; SameSite=Lax; HttpOnly$/)]);
    expect((await browser.visit(own)).known).toBe('ada');
    later(901);
    expect((await browser.visit(own)).known).toBeNull();
    // What is 0 is off.
    const [another, busy] = [new Browser(), { ...own, idling_timeout: 0 }];
    await another.visit(busy, { login: 'ada' });
    later(3599);
    expect((await another.visit(busy)).known).toBe('ada');
    later(3601);
    expect((await another.visit(busy)).known).toBeNull();
  });

  it('lives while it is used, gets a new id in the last quarter of its time, and ends after the absolute timeout', async () => {
    const browser = new Browser();
    const own = { storage: 'kong', idling_timeout: 300, rolling_timeout: 1000, absolute_timeout: 2000 } as const;
    await browser.visit(own, { login: 'ada' });
    const first = browser.cookies.get('session') ?? '';
    later(59);
    expect(await browser.visit(own)).toMatchObject({ known: 'ada', given: [] });
    later(100);
    expect((await browser.visit(own)).given).toHaveLength(1);
    later(299);
    expect((await browser.visit(own)).known).toBe('ada');
    later(299);
    const renewing = await browser.visit({ ...own, request_headers: ['id'] });
    expect([renewing.known, renewing.given.length]).toEqual(['ada', 1]);
    // The former one is good for requests that are on their way with it, and no longer.
    const other = new Browser(browser.services);
    other.cookies.set('session', first);
    later(2);
    expect((await other.visit({ ...own, idling_timeout: 0 })).known).toBe('ada');
    other.cookies.set('session', first);
    later(20);
    expect((await other.visit({ ...own, idling_timeout: 0 })).known).toBeNull();
    for (let used = 0; used < 5; used++) {
      later(220);
      expect((await browser.visit(own)).known).toBe('ada');
    }
    later(220);
    expect((await browser.visit(own)).known).toBeNull();

    await browser.visit(own, { login: 'ada' });
    later(301);
    expect((await browser.visit(own)).known).toBeNull();
  });

  it('of storage kong ends everywhere by a logout, whoever kept the cookie; the cookie says nothing', async () => {
    const browser = new Browser();
    const own = { storage: 'kong', remember: true } as const;
    await browser.visit(own, { login: 'ada', groups: ['admins', 'staff'] });
    const stolen = new Map(browser.cookies);
    const { known, request } = await browser.visit(own);
    expect([known, request.headers.get('x-authenticated-groups')]).toEqual(['ada', 'admins, staff']);
    expect(request.headers.get('x-credential-identifier')).toBe('key of ada');
    const out = await browser.visit(own, { method: 'POST', target: '/?session_logout' });
    expect(out.answered).toBe(true);
    expect(out.given.map((line) => line.split('=')[0])).toEqual(['session', 'remember']);
    expect(browser.cookies.size).toBe(0);
    for (const [name, value] of stolen) {
      const thief = new Browser(browser.services);
      thief.cookies.set(name, value);
      expect((await thief.visit(own)).known, name).toBeNull();
    }
  });

  it('is begun anew by the cookie that remembers, which is good once', async () => {
    const browser = new Browser();
    const own = { storage: 'kong', remember: true, remember_absolute_timeout: 1_000_000 } as const;
    const { given } = await browser.visit(own, { login: 'ada' });
    expect(given[1]).toContain('; Max-Age=604800');
    const before = browser.cookies.get('remember') ?? '';
    later(90_000);
    const again = await browser.visit(own);
    expect([again.known, again.given.length]).toEqual(['ada', 2]);
    expect((await browser.visit(own)).known).toBe('ada');
    const thief = new Browser(browser.services);
    thief.cookies.set('remember', before);
    later(2);
    expect((await thief.visit(own)).known).toBeNull();
    later(600_000);
    expect((await browser.visit(own)).known).toBe('ada');
    later(600_000);
    expect((await browser.visit(own)).known).toBeNull();
  });

  it('holds several audiences side by side, each logged out by itself', async () => {
    const browser = new Browser();
    const [one, two] = [{ audience: 'one' }, { audience: 'two' }];
    await browser.visit(one, { login: 'ada' });
    expect((await browser.visit(two)).known).toBeNull();
    await browser.visit(two, { login: 'grace' });
    expect([(await browser.visit(one)).known, (await browser.visit(two)).known]).toEqual(['ada', 'grace']);
    await browser.visit(two, { method: 'POST', target: '/?session_logout=1' });
    expect([(await browser.visit(one)).known, (await browser.visit(two)).known]).toEqual(['ada', null]);
  });

  it('is remembered for those alone who asked for it, each for as long as may be from its own login', async () => {
    const browser = new Browser();
    const [one, two] = [
      { audience: 'one', remember: true, remember_absolute_timeout: 10_000_000 },
      { audience: 'two', remember: true, remember_absolute_timeout: 1_000_000 },
    ];
    const three = { audience: 'three' };
    await browser.visit(three, { login: 'ada' });
    await browser.visit(one, { login: 'ada' });
    await browser.visit(two, { login: 'grace' });
    // The browser is closed.
    browser.cookies.delete('session');
    later(500_000);
    expect((await browser.visit(one)).known).toBe('ada');
    expect((await browser.visit(three)).known).toBeNull();
    expect((await browser.visit(two)).known).toBe('grace');
    expect((await browser.visit(one)).known).toBe('ada');
    browser.cookies.delete('session');
    later(500_001);
    expect((await browser.visit(one)).known).toBe('ada');
    expect((await browser.visit(two)).known).toBeNull();
  });

  it('that is over while the browser is open is begun anew by the cookie that remembers', async () => {
    const browser = new Browser();
    const own = { remember: true, absolute_timeout: 1000 };
    await browser.visit(own, { login: 'ada' });
    later(800);
    expect((await browser.visit(own)).known).toBe('ada');
    later(300);
    const begun = await browser.visit({ ...own, request_headers: ['absolute-timeout'] });
    expect(begun).toMatchObject({ known: 'ada', given: [expect.anything(), expect.anything()] });
    expect(begun.request.headers.get('session-absolute-timeout')).toBe('1000');
    expect(await browser.visit(own)).toMatchObject({ known: 'ada', given: [] });
  });

  it('that is logged out of one audience, or is followed by another login, is not remembered by a kept cookie', async () => {
    const one = { audience: 'one', storage: 'kong', remember: true } as const;
    const two = { ...one, audience: 'two' };
    const browser = new Browser();
    const stolen = async (own: Partial<SessionConfig>, cookie = '') => {
      const thief = new Browser(browser.services);
      thief.cookies.set('remember', cookie);
      return (await thief.visit(own)).known;
    };
    await browser.visit(one, { login: 'ada' });
    await browser.visit(two, { login: 'grace' });
    const kept = browser.cookies.get('remember');
    await browser.visit(two, { method: 'POST', target: '/?session_logout' });
    later(2);
    expect((await browser.visit(one)).known).toBe('ada');
    expect(await stolen(two, kept)).toBeNull();
    const before = browser.cookies.get('remember');
    browser.cookies.delete('session');
    expect((await browser.visit(two, { login: 'ada' })).known).toBeNull();
    later(2);
    expect(await stolen(one, before)).toBeNull();
    expect((await browser.visit(one)).known).toBe('ada');
  });

  it('that is remembered without end is not taken from the browser at once', async () => {
    for (const [remember_absolute_timeout, age] of [
      [2_592_000, 2_592_000],
      [0, 34_560_000],
    ] as const) {
      const browser = new Browser();
      const own = { remember: true, remember_rolling_timeout: 0, remember_absolute_timeout };
      const { given } = await browser.visit(own, { login: 'ada' });
      expect(given[1]).toMatch(new RegExp(`; Max-Age=${age}$`));
      browser.cookies.delete('session');
      later(age - 10);
      expect((await browser.visit(own)).known).toBe('ada');
    }
  });

  it('of somebody who logs in beside another has no groups of theirs', async () => {
    const browser = new Browser();
    await browser.visit({}, { login: 'ada', groups: ['admins'] });
    const { request } = await browser.visit({}, { login: 'grace', force: true });
    expect(request.identity.consumer?.id).toBe('grace');
    const { known, request: next } = await browser.visit({});
    expect([known, next.identity.authenticatedGroups]).toEqual(['grace', null]);
  });

  it('that was made anew is taken for a moment by its former cookie, and goes on by the new one alone', async () => {
    const own = { storage: 'kong', rolling_timeout: 1000 } as const;
    const browser = new Browser();
    await browser.visit(own, { login: 'ada' });
    const former = browser.cookies.get('session') ?? '';
    const late = () => {
      const other = new Browser(browser.services);
      other.cookies.set('session', former);
      return other.visit(own);
    };
    later(800);
    expect((await browser.visit(own)).given).toHaveLength(1);
    for (let request = 0; request < 2; request++) {
      later(4);
      expect(await late()).toMatchObject({ known: 'ada', given: [] });
    }
    later(4);
    expect((await late()).known).toBeNull();
    expect((await browser.visit(own)).known).toBe('ada');
  });

  it('gets another id with another login, and none without a consumer', async () => {
    const browser = new Browser();
    const own = { response_headers: ['id', 'subject', 'timeout'] } satisfies Partial<SessionConfig>;
    const first = await browser.visit(own, { login: 'ada' });
    expect(first.reply.headers.get('session-subject')).toBe('ada');
    expect(first.reply.headers.get('session-timeout')).toBe('900');
    const id = first.reply.headers.get('session-id');
    const seen = await browser.visit({ ...own, request_headers: ['id'] }, { headers: { 'session-id': 'made-up' } });
    expect([seen.request.headers.get('session-id'), seen.request.replyHeaders.get('session-id')]).toEqual([id, id]);
    browser.cookies.delete('session');
    const second = await browser.visit(own, { login: 'ada' });
    expect(second.reply.headers.get('session-id')).not.toBe(id);
    // A consumer that is gone takes its sessions along.
    const gone = new Browser();
    await gone.visit(own, { login: 'nobody' });
    expect(
      await gone.visit({ ...own, request_headers: ['id'] }, { headers: { 'session-id': 'made-up' } }),
    ).toMatchObject({
      known: null,
      given: [expect.stringContaining('Max-Age=0')],
    });
  });

  it('that is too long for one cookie is spread over several, and put together again', async () => {
    const browser = new Browser();
    const groups = Array.from({ length: 500 }, (_, n) => `group-${n}`);
    const { given } = await browser.visit({}, { login: 'ada', groups });
    expect(given.length).toBeGreaterThan(1);
    for (const line of given) expect(line.length).toBeLessThan(4096);
    expect((await browser.visit({})).request.identity.authenticatedGroups).toEqual(groups);
    expect(cookieOf('session=a; session2=b', 'session')).toBe('a');
    await browser.visit({}, { method: 'POST', target: '/?session_logout' });
    expect(browser.cookies.size).toBe(0);
  });
});
