import { LuaNative } from '../../../shared/lua/value.ts';
import type { Library } from '../context.ts';

const now = (): Date => new Date();
const seconds = (): number => Math.floor(Date.now() / 1000);
const stamp = (at: Date): string => at.toISOString().slice(0, 19).replace('T', ' ');

/** The time, as `ngx` has it. A data plane has no time zone: local time is UTC. */
export const times: Library = {
  now: new LuaNative('now', () => Date.now() / 1000),
  time: new LuaNative('time', seconds),
  today: new LuaNative('today', () => stamp(now()).slice(0, 10)),
  localtime: new LuaNative('localtime', () => stamp(now())),
  utctime: new LuaNative('utctime', () => stamp(now())),
  update_time: new LuaNative('update_time', () => undefined),
  http_time: new LuaNative('http_time', (call) => new Date(call.number(1) * 1000).toUTCString()),
  cookie_time: new LuaNative('cookie_time', (call) =>
    new Date(call.number(1) * 1000).toUTCString().replace(/^(\w+, \d+) (\w+) \d\d(\d\d)/, '$1-$2-$3'),
  ),
  parse_http_time: new LuaNative('parse_http_time', (call) => {
    const at = Date.parse(call.text(1));
    return Number.isNaN(at) ? undefined : at / 1000;
  }),
};
