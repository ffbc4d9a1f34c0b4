import { type LuaCall, LuaNative, type LuaRecord, NULL } from '../../../shared/lua/value.ts';
import { isolateNumber } from '../../plugins/isolate-number.ts';
import { bareAnswer } from '../../plugins/runtime/bare-answer.ts';
import { contextOf, LuaContext } from '../context.ts';
import { codecs } from './codecs.ts';
import { regexes } from './regex.ts';
import { answerStatus, request } from './request.ts';
import { times } from './times.ts';

const STATUSES = {
  CONTINUE: 100,
  SWITCHING_PROTOCOLS: 101,
  OK: 200,
  CREATED: 201,
  ACCEPTED: 202,
  NO_CONTENT: 204,
  PARTIAL_CONTENT: 206,
  SPECIAL_RESPONSE: 300,
  MOVED_PERMANENTLY: 301,
  MOVED_TEMPORARILY: 302,
  SEE_OTHER: 303,
  NOT_MODIFIED: 304,
  TEMPORARY_REDIRECT: 307,
  PERMANENT_REDIRECT: 308,
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  PAYMENT_REQUIRED: 402,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  NOT_ALLOWED: 405,
  NOT_ACCEPTABLE: 406,
  REQUEST_TIMEOUT: 408,
  CONFLICT: 409,
  GONE: 410,
  UPGRADE_REQUIRED: 426,
  TOO_MANY_REQUESTS: 429,
  CLOSE: 444,
  ILLEGAL: 451,
  INTERNAL_SERVER_ERROR: 500,
  METHOD_NOT_IMPLEMENTED: 501,
  BAD_GATEWAY: 502,
  SERVICE_UNAVAILABLE: 503,
  GATEWAY_TIMEOUT: 504,
  VERSION_NOT_SUPPORTED: 505,
  INSUFFICIENT_STORAGE: 507,
};

/** The part of OpenResty's `ngx` that plugins use and a data plane can have; what is looked up by name is in the prelude. */
export const ngx: LuaRecord = {
  ...constants(),
  ...codecs,
  ...times,
  null: NULL,
  re: regexes,
  req: request,
  resp: {},
  timer: {},
  config: { subsystem: 'http', debug: false, ngx_lua_version: 10_026 },
  worker: {
    id: new LuaNative('id', (call) => processOf(call).place),
    pid: new LuaNative('pid', () => isolateNumber()),
    count: new LuaNative('count', (call) => processOf(call).count),
    exiting: new LuaNative('exiting', () => false),
  },
  get_phase: new LuaNative('get_phase', (call) => contextOf(call).phase),
  exit: new LuaNative('exit', (call) => {
    const context = contextOf(call);
    const status = call.number(1);
    // Before TLS there is nothing to say but no.
    if (context.handshake !== null) return status === 0 ? undefined : context.refuse(status);
    // ngx.OK and ngx.ERROR end the phase alone; a status ends the request with it.
    if (status < 200) return undefined;
    if (context.session !== null) return context.refuse(status);
    const final = answerStatus(call);
    const { said, status: set } = context.tables;
    if (said === '') return context.exit(bareAnswer(context.request, final));
    // What was said went out under the status of that moment.
    const answer = context.request.exit(set ?? 200, said);
    const type = context.request.replyHeaders.get('content-type');
    if (type !== null) answer.headers.set('content-type', type);
    return context.exit(answer);
  }),
  redirect: new LuaNative('redirect', (call) => {
    const status = call.optionalNumber(2) ?? 302;
    if (![301, 302, 303, 307, 308].includes(status)) throw new Error('only 301, 302, 303, 307 and 308 are allowed');
    return contextOf(call).exit(bareAnswer(contextOf(call).request, status, { Location: call.text(1) }));
  }),
  sleep: new LuaNative(
    'sleep',
    async (call) => {
      const seconds = call.number(1);
      if (seconds < 0) throw new Error(`invalid sleep duration "${seconds}"`);
      await new Promise((resolve) => setTimeout(resolve, Math.min(seconds * 1000, LONGEST_SLEEP)));
      return undefined;
    },
    true,
  ),
};

/** Of the node's processes the one this is; the only one while nobody's request, nor log, is at hand. */
function processOf({ host }: LuaCall): { readonly place: number; readonly count: number } {
  const known = host instanceof LuaContext ? host.site.services.lua.process : undefined;
  return known ?? { place: 0, count: 1 };
}

const LONGEST_SLEEP = 60_000;

/** Numbers of levels, as `ngx.log` is given them, to names. */
export const LEVELS: ReadonlyMap<number, string> = new Map([
  [0, 'emerg'],
  [1, 'emerg'],
  [2, 'alert'],
  [3, 'crit'],
  [4, 'err'],
  [5, 'warn'],
  [6, 'notice'],
  [7, 'info'],
  [8, 'debug'],
]);

function constants(): LuaRecord {
  const names = ['STDERR', 'EMERG', 'ALERT', 'CRIT', 'ERR', 'WARN', 'NOTICE', 'INFO', 'DEBUG'];
  const all: Record<string, number> = { OK: 0, ERROR: -1, AGAIN: -2, DONE: -4, DECLINED: -5 };
  names.forEach((name, level) => {
    all[name] = level;
  });
  for (const [name, status] of Object.entries(STATUSES)) all[`HTTP_${name}`] = status;
  return all;
}
