import { sha1 } from '@noble/hashes/legacy.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { RedisClient } from './client.ts';
import { RedisError, type Reply } from './resp.ts';

/** A window as Redis keeps it. */
export interface RedisWindow {
  readonly key: string;
  /** Milliseconds since the epoch, and milliseconds. */
  readonly start: number;
  readonly length: number;
  readonly limit: number;
}

/** Counts in every window if each has room, in none otherwise: 1 or 0 first, then what is counted in each. */
const TAKE = script(`
local amount, used, room = tonumber(ARGV[1]), {}, 1
for i, key in ipairs(KEYS) do
  used[i] = tonumber(redis.call('get', key) or '0')
  if used[i] + amount > tonumber(ARGV[2 * i]) then room = 0 end
end
if room == 1 then
  for i, key in ipairs(KEYS) do
    used[i] = redis.call('incrby', key, amount)
    if used[i] == amount then redis.call('expire', key, ARGV[2 * i + 1]) end
  end
end
return {room, unpack(used)}`);

/** Counts in one window, room or not; gives what is counted there. */
const ADD = script(`
local used = redis.call('incrby', KEYS[1], ARGV[1])
if redis.call('ttl', KEYS[1]) < 0 then redis.call('expire', KEYS[1], ARGV[2]) end
return used`);

interface Script {
  readonly source: string;
  readonly sha: string;
}

/** Counts amount where each window has room. Throws what `RedisClient.send` does. */
export async function takeInRedis(
  client: RedisClient,
  windows: readonly RedisWindow[],
  amount: number,
): Promise<{ readonly counted: boolean; readonly used: readonly number[] }> {
  const limits = windows.flatMap((window) => [String(window.limit), secondsKept(window)]);
  const [counted, ...used] = integers(
    await run(client, TAKE, windows, [String(amount), ...limits]),
    windows.length + 1,
  );
  return { counted: counted === 1, used };
}

/** Counts whether there is room or not; gives what is counted in each window then. */
export async function addInRedis(
  client: RedisClient,
  windows: readonly RedisWindow[],
  amounts: readonly number[],
): Promise<readonly number[]> {
  const added = windows.map(async (window, i) => {
    const reply = await run(client, ADD, [window], [String(amounts[i] ?? 0), secondsKept(window)]);
    return integers([reply], 1)[0] ?? 0;
  });
  return Promise.all(added);
}

/** What is counted in each window. */
export async function lookInRedis(client: RedisClient, windows: readonly RedisWindow[]): Promise<readonly number[]> {
  const reply = await client.send(['MGET', ...windows.map(keyOf)]);
  const values = Array.isArray(reply) ? reply.map((value: Reply) => (value === null ? 0 : Number(value))) : reply;
  return integers(values, windows.length);
}

/** By its digest, or whole where the server does not know it yet. */
async function run(
  client: RedisClient,
  { source, sha }: Script,
  windows: readonly RedisWindow[],
  values: readonly string[],
): Promise<Reply> {
  const rest = [String(windows.length), ...windows.map(keyOf), ...values];
  try {
    return await client.send(['EVALSHA', sha, ...rest]);
  } catch (error) {
    const unknown = error instanceof Error && error.cause instanceof RedisError && error.cause.kind === 'NOSCRIPT';
    if (!unknown) throw error;
    return client.send(['EVAL', source, ...rest]);
  }
}

function script(source: string): Script {
  return { source, sha: bytesToHex(sha1(utf8ToBytes(source))) };
}

/** Kong's keys: its data planes and Holdfast's count together in one server. */
function keyOf({ key, start, length }: RedisWindow): string {
  return `${key}:${start}:${PERIODS.find(([shorter]) => length <= shorter)?.[1] ?? 'year'}`;
}

/** By what they last at most, in milliseconds. */
const PERIODS = [
  [1_000, 'second'],
  [60_000, 'minute'],
  [3_600_000, 'hour'],
  [86_400_000, 'day'],
  [31 * 86_400_000, 'month'],
] as const;

/** Its whole length, whenever it was begun: the clock of the server is not asked. */
function secondsKept({ length }: RedisWindow): string {
  return String(Math.ceil(length / 1_000));
}

function integers(reply: Reply, count: number): number[] {
  const numbers = Array.isArray(reply) ? reply.map((value: Reply) => Number(value)) : [];
  if (numbers.length === count && numbers.every((value) => Number.isSafeInteger(value))) return numbers;
  throw new TypeError(`Redis answered ${JSON.stringify(reply)?.slice(0, 100)} where ${count} counts were expected`);
}
