import { type LuaCall, LuaNative, type LuaRecord, type LuaResult, type LuaValue } from './value.ts';

/** What is left of Lua's `os`: the time. A data plane has no time zone: `os.date` is in UTC. */
export const osLibrary: LuaRecord = {
  time: new LuaNative('time', time),
  clock: new LuaNative('clock', () => performance.now() / 1000),
  date: new LuaNative('date', date),
  difftime: new LuaNative('difftime', (call) => call.number(1) - call.number(2)),
  getenv: new LuaNative('getenv', () => undefined),
};

function time(call: LuaCall): LuaResult {
  const given = call.value(1);
  if (!(given instanceof Map)) return Math.floor(Date.now() / 1000);
  const field = (name: string, otherwise?: number): number => {
    const value = given.get(name);
    if (value === undefined && otherwise !== undefined) return otherwise;
    const number = Number(value);
    if (value === undefined || !Number.isInteger(number)) throw new Error(`field '${name}' missing in date table`);
    return number;
  };
  const [year, month, day] = [field('year'), field('month'), field('day')];
  return Date.UTC(year, month - 1, day, field('hour', 12), field('min', 0), field('sec', 0)) / 1000;
}

function date(call: LuaCall): LuaResult {
  const format = (call.optionalText(1) ?? '%c').replace(/^!/, '');
  const at = new Date((call.optionalNumber(2) ?? Math.floor(Date.now() / 1000)) * 1000);
  if (Number.isNaN(at.getTime())) throw new Error('time out of range');
  if (format.startsWith('*t')) return table(at);
  call.charge(A_DATE + format.length * 8);
  return format.replace(/%(.)/g, (directive, letter: string) => DIRECTIVES[letter]?.(at) ?? directive);
}

function table(at: Date): LuaValue {
  return {
    year: at.getUTCFullYear(),
    month: at.getUTCMonth() + 1,
    day: at.getUTCDate(),
    hour: at.getUTCHours(),
    min: at.getUTCMinutes(),
    sec: at.getUTCSeconds(),
    wday: at.getUTCDay() + 1,
    yday: dayOfYear(at),
    isdst: false,
  };
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
const two = (value: number): string => String(value).padStart(2, '0');
const dayName = (at: Date): string => DAYS[at.getUTCDay()] ?? '';
const monthName = (at: Date): string => MONTHS[at.getUTCMonth()] ?? '';
const clock = (at: Date): string => `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;

function dayOfYear(at: Date): number {
  return Math.floor((at.getTime() - Date.UTC(at.getUTCFullYear(), 0, 1)) / 86_400_000) + 1;
}

/** strftime(3) in the C locale. */
const DIRECTIVES: Readonly<Record<string, (at: Date) => string>> = {
  a: (at) => dayName(at).slice(0, 3),
  A: dayName,
  b: (at) => monthName(at).slice(0, 3),
  B: monthName,
  c: (at) =>
    `${dayName(at).slice(0, 3)} ${monthName(at).slice(0, 3)} ${String(at.getUTCDate()).padStart(2)} ${clock(at)} ${at.getUTCFullYear()}`,
  d: (at) => two(at.getUTCDate()),
  F: (at) => at.toISOString().slice(0, 10),
  H: (at) => two(at.getUTCHours()),
  I: (at) => two(at.getUTCHours() % 12 || 12),
  j: (at) => String(dayOfYear(at)).padStart(3, '0'),
  m: (at) => two(at.getUTCMonth() + 1),
  M: (at) => two(at.getUTCMinutes()),
  p: (at) => (at.getUTCHours() < 12 ? 'AM' : 'PM'),
  S: (at) => two(at.getUTCSeconds()),
  T: clock,
  w: (at) => String(at.getUTCDay()),
  x: (at) => `${two(at.getUTCMonth() + 1)}/${two(at.getUTCDate())}/${two(at.getUTCFullYear() % 100)}`,
  X: clock,
  y: (at) => two(at.getUTCFullYear() % 100),
  Y: (at) => String(at.getUTCFullYear()),
  Z: () => 'UTC',
  '%': () => '%',
};

/** What writing a date costs, in instructions. */
const A_DATE = 100;
