import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RedisCounters } from '../../../edge-dp/durable/redis-counters.ts';
import { parseRedisQuestion } from '../../../edge-dp/durable/state-messages.ts';
import type { Window } from '../../../edge-dp/plugins/runtime/services.ts';
import { LeasedCounters } from '../../../edge-dp/plugins/services/leased-counters.ts';
import { RedisClient, type RedisServer } from '../../../edge-dp/redis/client.ts';
import { addInRedis, lookInRedis, takeInRedis } from '../../../edge-dp/redis/counting.ts';
import { encodeCommand, RedisError, type Reply, ReplyReader } from '../../../edge-dp/redis/resp.ts';
import { connectPlain } from './connect.ts';
import { type RedisTestServer, startRedisServer } from './redis-server.ts';

describe('replies of Redis', () => {
  const encoded = (reply: Reply): string => {
    if (reply === null) return '$-1\r\n';
    if (typeof reply === 'number') return `:${reply}\r\n`;
    if (typeof reply === 'string') return `$${Buffer.byteLength(reply)}\r\n${reply}\r\n`;
    if (reply instanceof RedisError) return `-${reply.message}\r\n`;
    if (reply instanceof Uint8Array) return expect.fail('texts here are UTF-8');
    return `*${reply.length}\r\n${reply.map(encoded).join('')}`;
  };
  const { reply } = fc.letrec<{ reply: Reply }>((tie) => ({
    reply: fc.oneof(
      { maxDepth: 3 },
      fc.maxSafeInteger(),
      fc.string({ unit: 'binary' }),
      fc.constant(null),
      fc.constant(new RedisError('OOM command not allowed')),
      fc.array(tie('reply'), { maxLength: 4 }),
    ),
  }));

  it('stay bytes where they are no text, for who wants them exact', () => {
    const bytes = Uint8Array.of(0x24, 0x32, 13, 10, 0xff, 0x61, 13, 10);
    expect(new ReplyReader(true).read(bytes)).toEqual([Uint8Array.of(0xff, 0x61)]);
    expect(new ReplyReader().read(bytes)).toEqual(['\ufffda']);
    expect(Buffer.from(encodeCommand(['SET', 'ä', Uint8Array.of(0xff, 0)])).toString('latin1')).toBe(
      '*3\r\n$3\r\nSET\r\n$2\r\n\xc3\xa4\r\n$2\r\n\xff\0\r\n',
    );
  });

  it('are put together wherever they break off', () => {
    fc.assert(
      fc.property(fc.array(reply, { maxLength: 5 }), fc.array(fc.nat()), (replies, cuts) => {
        const bytes = Buffer.from(replies.map(encoded).join(''));
        const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
        const reader = new ReplyReader();
        const read = places.slice(1).flatMap((end, i) => reader.read(bytes.subarray(places[i], end)));
        expect(read).toEqual(replies);
      }),
    );
  });

  it.each([
    ['what is no RESP', 'HTTP/1.1 400 Bad Request\r\n'],
    ['a line without CR', ':1\n'],
    ['a length that is none', '$-5\r\n'],
    ['a length beyond all bounds', '$9999999999\r\n'],
    ['arrays without an end', '*1\r\n'.repeat(100)],
    ['a number that is none', ':1e5\r\n'],
    ['a line without an end', 'x'.repeat((1 << 20) + 1)],
  ])('are refused where they are %s', (_, text) => {
    expect(() => new ReplyReader().read(Buffer.from(text))).toThrow(TypeError);
  });

  it('come of commands whose words can hold anything', () => {
    expect(Buffer.from(encodeCommand(['SET', 'größe\r\n', ''])).toString()).toBe(
      '*3\r\n$3\r\nSET\r\n$9\r\ngröße\r\n\r\n$0\r\n\r\n',
    );
  });
});

describe('counting in Redis', () => {
  let redis: RedisTestServer;
  let server: RedisServer;

  beforeEach(async () => {
    redis = await startRedisServer();
    const { port } = redis;
    server = { host: '127.0.0.1', port, timeout: 20_000, username: null, password: null, database: 0, tls: null };
  });
  afterEach(() => redis.kill());

  const window = (limit: number, key = 'k', length = 3_600_000): Window => ({
    key,
    start: Date.now() - (Date.now() % length),
    length,
    limit,
  });

  it('happens in all windows or in none, and lasts as long as they do', async () => {
    const client = new RedisClient(server, connectPlain);
    const [minute, hour] = [window(5, 'ä:{x}', 60_000), window(2, 'ä:{x}')];
    expect(await takeInRedis(client, [minute, hour], 1)).toEqual({ counted: true, used: [1, 1] });
    expect(await takeInRedis(client, [minute, hour], 1)).toEqual({ counted: true, used: [2, 2] });
    expect(await takeInRedis(client, [minute, hour], 1)).toEqual({ counted: false, used: [2, 2] });
    expect(await addInRedis(client, [minute, hour], [3, -1])).toEqual([5, 1]);
    expect(await lookInRedis(client, [minute, window(1, 'another'), hour])).toEqual([5, 0, 1]);
    expect(Object.values(redis.kept())).toEqual([
      ['5', 60],
      ['1', 3600],
    ]);
    // The whole script only where the server has not answered to its digest yet: once to count, twice at once to add.
    expect(redis.commands.filter((name) => name === 'EVAL')).toHaveLength(3);
  });

  it('goes over one connection however many ask at once, and over a new one once it broke', async () => {
    const client = new RedisClient(server, connectPlain);
    const many = () => Promise.allSettled(Array.from({ length: 200 }, () => takeInRedis(client, [window(150)], 1)));
    const counted = (await many()).filter(({ status }) => status === 'fulfilled');
    expect(counted).toHaveLength(200);
    expect(redis.kept()[Object.keys(redis.kept())[0] ?? '']?.[0]).toBe('150');
    expect(redis.connections).toBe(1);
    await redis.kill();
    expect((await many()).every(({ status }) => status === 'rejected')).toBe(true);
    await redis.start();
    const again = async () => (await takeInRedis(client, [window(1000, 'again')], 1)).counted;
    await expect.poll(again, { message: 'it to connect again' }).toBe(true);
    expect(redis.connections).toBe(1);
  });

  it('lets go of a connection that nobody has used for a minute, and opens another for who does', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
    const client = new RedisClient(server, connectPlain);
    const asked = async () => (await takeInRedis(client, [window(100)], 1)).counted;
    try {
      expect(await asked()).toBe(true);
      vi.advanceTimersByTime(50_000);
      expect(await asked()).toBe(true);
      vi.advanceTimersByTime(50_000);
      expect(await asked()).toBe(true);
      expect(redis.connections).toBe(1);
      vi.advanceTimersByTime(60_000);
      await expect.poll(() => redis.connections).toBe(0);
      expect(vi.getTimerCount()).toBe(0);
      expect(await asked()).toBe(true);
      expect(redis.connections).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });

  it('finds the server that has taken the place of another, which answers still', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const other = await startRedisServer();
    const connected: number[] = [];
    const client = new RedisClient(server, ({ host }, options) => {
      const port = redis.behaviour.replica === true ? other.port : redis.port;
      connected.push(port);
      return connectPlain({ host, port }, options);
    });
    const own = window(100);
    const outcomes = async () => {
      const asked = [takeInRedis(client, [own], 1), lookInRedis(client, [own]), takeInRedis(client, [own], 1)];
      return (await Promise.allSettled<unknown>(asked)).map(({ status }) => status);
    };
    try {
      expect(await outcomes()).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
      redis.behaviour.replica = true;
      vi.setSystemTime(Date.now() + 1000);
      // What it can answer it does.
      expect(await outcomes()).toEqual(['rejected', 'fulfilled', 'rejected']);
      expect(await outcomes()).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
      expect(connected).toEqual([redis.port, other.port]);
      await expect.poll(() => redis.connections).toBe(0);
      // One that is a replica, too, is not connected to for every request.
      other.behaviour.replica = true;
      for (let i = 0; i < 5; i++) expect(await outcomes()).toEqual(['rejected', 'fulfilled', 'rejected']);
      expect(connected).toHaveLength(2);
    } finally {
      vi.useRealTimers();
      await other.kill();
    }
  });

  it('fails with words where what is kept is no count', async () => {
    const client = new RedisClient(server, connectPlain);
    const own = window(5);
    await client.send(['SET', `k:${own.start}:hour`, 'text']);
    await expect(lookInRedis(client, [own])).rejects.toThrow('where 1 counts were expected');
    await expect(takeInRedis(client, [own], 1)).rejects.toThrow('127.0.0.1');
  });

  describe('every so often', () => {
    const work: Promise<unknown>[] = [];
    /** A node with its isolate. */
    const node = () => {
      const keeper = new RedisCounters(connectPlain, (promise) => void work.push(promise));
      return new LeasedCounters(1, async (_shard, question) =>
        keeper.answer(parseRedisQuestion({ ...question, server, syncRate: 0.05 })),
      );
    };
    const take = async (counters: LeasedCounters, own: Window, times: number) => {
      let allowed = 0;
      for (let i = 0; i < times; i++) if ((await counters.take([own], 1))[0]?.room === true) allowed += 1;
      return allowed;
    };
    const kept = () => Object.values(redis.kept())[0]?.[0];
    afterEach(() => Promise.all(work.splice(0)));

    it('lets two nodes overshoot by what passes between two comparisons, and no more', async () => {
      const own = window(50);
      const [first, second] = [node(), node()];
      expect(await take(first, own, 20)).toBe(20);
      await expect.poll(kept, { message: 'the first to tell' }).toBe('20');
      // What others counted is known from the first request on.
      expect(await take(second, own, 40)).toBe(30);
      await expect.poll(kept, { message: 'the second to tell' }).toBe('50');
      // The first does not know yet, and finds out.
      const late = await take(first, own, 1);
      await expect.poll(() => take(first, own, 1), { message: 'the first to hear of it' }).toBe(0);
      await Promise.all(work.splice(0));
      expect(Number(kept())).toBeGreaterThanOrEqual(50 + late);
      expect(Number(kept())).toBeLessThanOrEqual(80);
    });

    it('counts on the node alone while Redis is gone, says so, and tells it afterwards', async () => {
      const error = vi.spyOn(console, 'error').mockImplementation(() => undefined);
      const own = window(50);
      const counters = node();
      await redis.kill();
      expect(await take(counters, own, 60)).toBe(50);
      expect(error).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('until Redis is there again'));
      await redis.start();
      await expect.poll(kept, { message: 'Redis to be told' }).toBe('50');
      error.mockRestore();
    });

    it('tells of each window once, also beside one that cannot be counted there', async () => {
      const error = vi.spyOn(console, 'error').mockImplementation(() => undefined);
      const client = new RedisClient(server, connectPlain);
      const [sound, odd] = [window(50, 'sound'), window(50, 'odd')];
      const oddKey = `odd:${odd.start}:hour`;
      await client.send(['SET', oddKey, 'text']);
      const counters = node();
      expect([await take(counters, odd, 5), await take(counters, sound, 10)]).toEqual([5, 10]);
      const before = redis.commands.length;
      await expect.poll(() => redis.commands.length - before, { message: 'some comparisons' }).toBeGreaterThan(12);
      await client.send(['SET', oddKey, '0']);
      await Promise.all(work.splice(0));
      const told = [`sound:${sound.start}:hour`, oddKey].map((key) => redis.kept()[key]?.[0]);
      expect(told).toEqual(['10', '5']);
      error.mockRestore();
    });
  });
});
