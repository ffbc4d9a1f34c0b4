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

/** The session a request came with, once it was taken for its consumer's. */
const current = slot<Session>();

/** Seconds after which a session that is used gets its cookie anew, so that it is not idle. */
const TOUCHED_AFTER = 60;

/** Remembers by a cookie who an authentication plugin found a client to be, and takes it for that from then on. */
const session: Plugin<SessionConfig> = {
  name: 'session',
  version: KONG_VERSION,
  priority: 1900,
  compile(own, place, services) {
    const config = settled(own);
    const { audience, cookie_name: name, remember_cookie_name: rememberName } = config;
    const methods: ReadonlySet<string> = new Set(config.logout_methods ?? []);
    const sessions = config.secret ? new Sessions(config, config.secret, services) : null;

    const opened = async (request: GatewayRequest): Promise<{ session: Session; kind: Kind } | null> => {
      if (sessions === null) throw new Error('the secret of sessions is not set');
      const cookies = cookiesOf(request.headers);
      for (const [kind, cookie] of [
        ['session', cookieOf(cookies, name)],
        ['remember', config.remember ? cookieOf(cookies, rememberName) : null],
      ] as const) {
        const found = cookie === null ? null : await sessions.open(cookie, kind);
        if (found !== null) return { session: found, kind };
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

    /** `people`: those of the cookie that remembers, where that began earlier. */
    const save = async (to: HeaderFields, saved: Session, people = saved.people): Promise<void> => {
      if (sessions === null) return;
      give(to, name, await sessions.save(saved, 'session'), null);
      if (!config.remember) return;
      // A session of its own, since each is ended by itself.
      const remembered = sessions.renewed({ ...saved, people });
      give(to, rememberName, await sessions.save(remembered, 'remember'), config.remember_rolling_timeout);
    };

    const end = async (request: GatewayRequest, ended: Session): Promise<void> => {
      const cookies = cookiesOf(request.headers);
      await sessions?.end(ended);
      const { [audience]: _own, ...others } = ended.people;
      if (Object.keys(others).length > 0 && sessions !== null) {
        await save(request.replyHeaders, { ...sessions.renewed(ended), people: others });
        return;
      }
      const names = config.remember ? [name, rememberName] : [name];
      if (config.remember) {
        const remembered = cookieOf(cookies, rememberName);
        const second = remembered === null ? null : await sessions?.open(remembered, 'remember');
        if (second) await sessions?.end(second);
      }
      for (const line of names.flatMap((each) => clearCookies(config, each, cookies))) {
        request.replyHeaders.append('Set-Cookie', line);
      }
    };

    /** A new id in the last quarter of its time, another cookie when it was not touched for a while. */
    const refreshed = async (request: GatewayRequest, found: Session, kind: Kind): Promise<Session> => {
      if (sessions === null) return found;
      if (kind === 'remember') {
        const next = sessions.begunAgain(found);
        await save(request.replyHeaders, next, found.people);
        await sessions.end(found);
        return next;
      }
      if (sessions.untilRenewal(found, kind) <= 0) {
        const next = sessions.renewed(found);
        give(request.replyHeaders, name, await sessions.save(next, kind), null);
        await sessions.replace(found, kind);
        return next;
      }
      if (config.idling_timeout === 0 || seconds() - found.touched < TOUCHED_AFTER) return found;
      const touched = { ...found, touched: seconds() };
      give(request.replyHeaders, name, await sessions.touch(touched, kind), null);
      return touched;
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
          const found = await opened(request);
          const person = found === null ? undefined : sessions?.person(found.session, audience, found.kind);
          if (found === null || person === undefined) return undefined;
          if (await isLogout(request)) {
            await end(request, found.session);
            return request.exit(200);
          }
          const consumer = await request.lookup('consumers', person.consumer);
          if (consumer === null) {
            await end(request, found.session);
            return undefined;
          }
          const now = await refreshed(request, found.session, found.kind);
          current.set(request, now);
          tell(request.headers, now, person, config.request_headers ?? []);
          tell(request.replyHeaders, now, person, config.response_headers ?? []);
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
        const found = sessions === null ? null : await opened(request);
        return found === null ? undefined : sessions?.person(found.session, audience, found.kind)?.consumer;
      },

      response(request, reply) {
        const { consumer, credential, authenticatedGroups } = request.identity;
        // Anonymous users have no session; nor has who is no consumer.
        if (credential === null || consumer === null || sessions === null) return undefined;
        const known = current.get(request);
        const person = known?.people[audience];
        const credentialId = credential.id ?? consumer.id;
        if (person?.consumer === consumer.id && person.credential === credentialId) return undefined;
        return (async () => {
          const before = known ?? (await opened(request))?.session ?? null;
          const logged: Person = {
            consumer: consumer.id,
            credential: credentialId,
            groups: authenticatedGroups,
            subject: consumer.username ?? consumer.custom_id ?? consumer.id,
            began: seconds(),
          };
          // Another login is another session: nobody can have planted its id.
          const next = sessions.begin({ ...before?.people, [audience]: logged });
          if (before !== null) await sessions.replace(before, 'session');
          await save(reply.headers, next);
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
