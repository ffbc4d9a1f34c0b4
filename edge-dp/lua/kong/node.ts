import { type LuaCall, LuaNative } from '../../../shared/lua/value.ts';
import { isRecord, type Row, recordOrEmpty } from '../../../shared/record.ts';
import { KONG_VERSION } from '../../../shared/version.ts';
import type { LogLevel } from '../../plugins/runtime/services.ts';
import { keepLine } from '../../plugins/tracing/log-lines.ts';
import type { RecordedAttribute, RecordedValue } from '../../plugins/tracing/span.ts';
import { contextOf, type Library } from '../context.ts';
import { entity } from './client.ts';
import { jsonOf } from './log.ts';

/** `kong.router`: what the request matched. */
export const router: Library = {
  get_route: new LuaNative('get_route', (call) => {
    const { route } = contextOf(call).subject;
    return route === null ? undefined : entity(route.row);
  }),
  get_service: new LuaNative('get_service', (call) => {
    const { service } = contextOf(call).subject;
    return service === null ? undefined : entity(service.row);
  }),
};

/** `kong.node`, `kong.plugin`: where this runs. */
export const node: Library = {
  get_id: new LuaNative('get_id', (call) => contextOf(call).site.services.node.id),
  get_hostname: new LuaNative('get_hostname', (call) => contextOf(call).site.services.node.hostname),
};

export const plugin: Library = {
  get_id: new LuaNative('get_id', (call) => contextOf(call).site.place.id),
};

/** `kong.ip`. */
export const ip: Library = {
  is_trusted: new LuaNative('is_trusted', (call) => contextOf(call).site.services.trusts(call.text(1))),
};

/** What the prelude writes a line of the node's log with: level, message. */
export const write = new LuaNative('log', (call: LuaCall) => {
  // A plugin that is being loaded: there is nobody to tell yet.
  if (call.host === null) return undefined;
  const { site, subject } = contextOf(call);
  const level = levelOf(call.text(1));
  const text = call.text(2);
  call.charge(A_LINE);
  site.services.log(level, `${site.plugin}: ${text}`);
  keepLine(subject, level, text);
  return undefined;
});

/** `kong.telemetry.log`, its arguments as the prelude has checked them: name, type, message, attributes. */
export const record = new LuaNative('telemetry_log', (call: LuaCall) => {
  const { site, subject } = contextOf(call);
  const given = recordOrEmpty(jsonOf(call.value(4)));
  call.charge(A_LINE);
  const { id, instanceName } = site.place;
  const own = {
    ...given,
    'message.type': call.text(2),
    'plugin.name': call.text(1),
    'plugin.id': id,
    ...(instanceName !== null && { 'plugin.instance.name': instanceName }),
  };
  keepLine(subject, null, call.text(3), attributesOf(own));
  return true;
});

function attributesOf(values: Row): readonly RecordedAttribute[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const recorded = recordedValue(value);
    return recorded === null ? [] : [[name, recorded] as const];
  });
}

/** Numbers of Lua are doubles. Null: there is nothing. */
function recordedValue(value: unknown): RecordedValue | null {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return { double: value };
  if (typeof value === 'boolean') return { bool: value };
  if (Array.isArray(value)) return { list: value.flatMap((item) => recordedValue(item) ?? []) };
  return isRecord(value) ? { map: attributesOf(value) } : null;
}

function levelOf(name: string): LogLevel {
  switch (name) {
    case 'debug':
    case 'info':
    case 'notice':
    case 'warn':
      return name;
    case 'crit':
    case 'alert':
    case 'emerg':
      return 'crit';
    default:
      return 'error';
  }
}

/** What writing a line costs, in instructions. */
const A_LINE = 500;

/** As Kong numbers it: three digits for each part. */
export const VERSION_NUMBER = KONG_VERSION.split('.').reduce((sum, part) => sum * 1000 + Number(part), 0);
