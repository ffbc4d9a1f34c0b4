import type { SessionConfig } from '../../shared/plugins/session.ts';
import { isRecord } from '../../shared/record.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { cookiesOf } from '../http/cookies.ts';
import type { HeaderFields } from '../http/fields.ts';
import { queryValues } from '../proxy/query.ts';
import { readConsumer } from './authentication.ts';
import { bodyTable } from './request-tables.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';
import { slot } from './runtime/slot.ts';
import { clearCookies, cookieOf, setCookies } from './session/cookies.ts';
import { type Kind, type Person, type Session, Sessions, seconds } from './session/sessions.ts';
import { settled } from './session/settings.ts';

/** A session that is somebody's for the audience. */
interface Found {
  readonly session: Session;
  readonly kind: Kind;
  readonly person: Person;
  /** That of the cookie before it, which is others'. */
  readonly beside: Session | null;
}

interface Current {
  readonly session: Session;
  /** What its cookie that remembers was made anew to; null: it was not. */
  readonly remembered: Session | null;
}

/** The session a request came with, once it was taken for its consumer's. */
const current = slot<Current>();

/** Seconds after which a session that is used gets its cookie anew, so that it is not idle. */
const TOUCHED_AFTER = 60;

/** Seconds that browsers keep a cookie at the most: 400 days (RFC 6265bis section 5.5). */
const LONGEST_AGE = 34_560_000;

/** Remembers by a cookie who an authentication plugin found a client to be, and takes it for that from then on. */
const session: Plugin<SessionConfig> = {
  name: 'session',
  version: KONG_VERSION,
  priority: 1900,
  compile(own, place, services) {
    const config = settled(own);
    const { audience, cookie_name: name, remember_cookie_name: rememberName } = config;
    // 0 is without end; as an age it would take the cookie away.
    const rememberedFor = config.remember_rolling_timeout || config.remember_absolute_timeout || LONGEST_AGE;
    const methods: ReadonlySet<string> = new Set(config.logout_methods ?? []);
    const sessions = config.secret ? new Sessions(config, config.secret, services) : null;

    const open = async (request: GatewayRequest, kind: Kind): Promise<Session | null> => {
      if (sessions === null) throw new Error('the secret of sessions is not set');
      if (kind === 'remember' && !config.remember) return null;
      const cookie = cookieOf(cookiesOf(request.headers), kind === 'session' ? name : rememberName);
      return cookie === null ? null : sessions.open(cookie, kind);
    };

    /** Whom the session is of; where it is nobody's, or no longer, who is remembered. */
    const find = async (request: GatewayRequest): Promise<Found | null> => {
      let beside: Session | null = null;
      for (const kind of ['session', 'remember'] as const) {
        const found = await open(request, kind);
        const person = found === null ? undefined : sessions?.person(found, audience, kind);
        if (found !== null && person !== undefined) return { session: found, kind, beside, person };
        beside = found;
      }
      return null;
    };

    /** Puts a cookie, or a pair of them, on the answer. */
    const give = (to: HeaderFields, cookieName: string, value: string, maxAge: number | null): void => {
      const lines = setCookies(config, cookieName, value, maxAge);
      if (lines === null)
        services.log('error', `[session] a session of plugin ${place.id} is too long for cookies: it is not kept`);
      for (const line of lines ?? []) to.append('Set-Cookie', line);
    };

    /** `remembered`: of a session of its own, since each is ended by itself. */
    const save = async (to: HeaderFields, saved: Session, remembered: Session): Promise<void> => {
      if (sessions === null) return;
      give(to, name, await sessions.save(saved, 'session'), null);
      if (!config.remember) return;
      give(to, rememberName, await sessions.save(remembered, 'remember'), rememberedFor);
    };

    /** Ends it for the audience; for others each cookie goes on as another one. */
    const end = async (request: GatewayRequest): Promise<void> => {
      if (sessions === null) return;
      const cookies = cookiesOf(request.headers);
      for (const kind of config.remember ? (['session', 'remember'] as const) : (['session'] as const)) {
        const ended = await open(request, kind);
        if (ended !== null) await sessions.end(ended);
        const { [audience]: _own, ...others } = ended?.people ?? {};
        const [cookieName, maxAge] = kind === 'session' ? [name, null] : [rememberName, rememberedFor];
        if (ended !== null && Object.keys(others).length > 0) {
          const next = { ...sessions.renewed(ended), people: others };
          give(request.replyHeaders, cookieName, await sessions.save(next, kind), maxAge);
          continue;
        }
        for (const line of clearCookies(config, cookieName, cookies)) request.replyHeaders.append('Set-Cookie', line);
      }
    };

    /** A new id in the last quarter of its time, another cookie when it was not touched for a while. */
    const refreshed = async (
      request: GatewayRequest,
      { session: found, kind, beside, person }: Found,
    ): Promise<Current> => {
      if (sessions === null) return { session: found, remembered: null };
      if (kind === 'remember') {
        // Who was remembered counts as logged in now: the others of the cookie do when they come.
        const next = sessions.begin({ ...beside?.people, [audience]: { ...person, began: seconds() } });
        const remembered = sessions.renewed(found);
        await save(request.replyHeaders, next, remembered);
        await sessions.end(found);
        if (beside !== null) await sessions.replace(beside, 'session');
        return { session: next, remembered };
      }
      if (found.stale) return { session: found, remembered: null };
      if (sessions.untilRenewal(found, kind) <= 0) {
        const next = sessions.renewed(found);
        give(request.replyHeaders, name, await sessions.save(next, kind), null);
        await sessions.replace(found, kind);
        return { session: next, remembered: null };
      }
      if (config.idling_timeout === 0 || seconds() - found.touched < TOUCHED_AFTER) {
        return { session: found, remembered: null };
      }
      const touched = { ...found, touched: seconds() };
      give(request.replyHeaders, name, await sessions.touch(touched, kind), null);
      return { session: touched, remembered: null };
    };

    const tell = (headers: HeaderFields, of: Session, person: Person, properties: readonly string[]): void => {
      if (sessions === null) return;
      const left = sessions.timeouts(of, person, 'session');
      const values: Readonly<Record<string, string | number>> = {
        id: of.id,
        audience,
        subject: person.subject,
        timeout: Math.min(left.idling, left.rolling, left.absolute),
        'idling-timeout': left.idling,
        'rolling-timeout': left.rolling,
        'absolute-timeout': left.absolute,
      };
      for (const property of properties) {
        const value = values[property];
        // Of what never ends nothing is told, as in Kong.
        if (value === Number.POSITIVE_INFINITY) continue;
        headers.set(HEADERS[property] ?? property, encodeURI(String(value)));
      }
    };

    const isLogout = async (request: GatewayRequest): Promise<boolean> => {
      if (!methods.has(request.method)) return false;
      if (config.logout_query_arg && queryValues(request.query, config.logout_query_arg).length > 0) return true;
      if (!config.read_body_for_logout || !config.logout_post_arg || !WITH_BODY.has(request.method)) return false;
      const bytes = await request.body.read(BODY_LIMIT);
      const body = bytes === null ? null : bodyTable(request.headers.get('content-type'), bytes);
      if (body?.kind !== 'table' || !isRecord(body.value) || !Object.hasOwn(body.value, config.logout_post_arg))
        return false;
      return body.value[config.logout_post_arg] !== false;
    };

    return {
      access(request) {
        // What is told of a session is the gateway's to say.
        for (const property of config.request_headers ?? []) request.headers.delete(HEADERS[property] ?? property);
        if (!request.headers.has('cookie')) return undefined;
        return (async () => {
          const found = await find(request);
          if (found === null) return undefined;
          const { person } = found;
          if (await isLogout(request)) {
            await end(request);
            return request.exit(200);
          }
          const consumer = await request.lookup('consumers', person.consumer);
          if (consumer === null) {
            await end(request);
            return undefined;
          }
          const { session: now, remembered } = await refreshed(request, found);
          current.set(request, { session: now, remembered });
          const told = now.people[audience] ?? person;
          tell(request.headers, now, told, config.request_headers ?? []);
          tell(request.replyHeaders, now, told, config.response_headers ?? []);
          if (person.groups === null) request.headers.delete('X-Authenticated-Groups');
          else request.headers.set('X-Authenticated-Groups', person.groups.join(', '));
          request.identity.authenticatedGroups = person.groups;
          request.identity.authenticate(readConsumer(consumer), {
            id: person.credential,
            identifier: person.credential,
            row: { id: person.credential, consumer_id: person.consumer },
          });
          return undefined;
        })();
      },

      async claimant(request) {
        return sessions === null ? undefined : (await find(request))?.person.consumer;
      },

      response(request, reply) {
        const { consumer, credential, authenticatedGroups } = request.identity;
        // Anonymous users have no session; nor has who is no consumer.
        if (credential === null || consumer === null || sessions === null) return undefined;
        const known = current.get(request);
        const person = known?.session.people[audience];
        const credentialId = credential.id ?? consumer.id;
        // Groups that the session itself has named are not theirs.
        const another = person?.consumer !== consumer.id;
        if (person?.consumer === consumer.id && person.credential === credentialId) return undefined;
        return (async () => {
          const before = known?.session ?? (await open(request, 'session'));
          const remembered = known?.remembered ?? (await open(request, 'remember'));
          const logged: Person = {
            consumer: consumer.id,
            credential: credentialId,
            groups: another && authenticatedGroups === person?.groups ? null : authenticatedGroups,
            subject: consumer.username ?? consumer.custom_id ?? consumer.id,
            began: seconds(),
          };
          // Another login is another session: nobody can have planted its id.
          const next = sessions.begin({ ...before?.people, [audience]: logged });
          if (before !== null) await sessions.replace(before, 'session');
          if (remembered !== null) await sessions.end(remembered);
          await save(reply.headers, next, sessions.begin({ ...remembered?.people, [audience]: logged }));
          tell(reply.headers, next, logged, config.response_headers ?? []);
          return undefined;
        })();
      },
    };
  },
};

export default session;

/** Bodies are searched up to this size. */
const BODY_LIMIT = 1 << 20;

const WITH_BODY: ReadonlySet<string> = new Set(['DELETE', 'PATCH', 'POST', 'PUT']);

const HEADERS: Readonly<Record<string, string>> = {
  id: 'Session-Id',
  audience: 'Session-Audience',
  subject: 'Session-Subject',
  timeout: 'Session-Timeout',
  'idling-timeout': 'Session-Idling-Timeout',
  'rolling-timeout': 'Session-Rolling-Timeout',
  'absolute-timeout': 'Session-Absolute-Timeout',
};
