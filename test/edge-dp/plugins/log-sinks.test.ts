import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import fileLog from '../../../edge-dp/plugins/file-log.ts';
import httpLog from '../../../edge-dp/plugins/http-log.ts';
import { ServiceError, type SyslogLine } from '../../../edge-dp/plugins/runtime/services.ts';
import syslog from '../../../edge-dp/plugins/syslog.ts';
import tcpLog from '../../../edge-dp/plugins/tcp-log.ts';
import { authority } from '../../cp/pki/authority.ts';
import { admin } from '../../e2e/processes.ts';
import { once } from '../../once.ts';
import { rawRequest } from '../../raw-http.ts';
import { until } from '../../until.ts';
import { hosts } from '../hosts.ts';
import { type CaseGateway, startCaseGateway } from './case-runner/gateway.ts';
import { exchangeOf } from './exchange-of.ts';
import { EVERYWHERE, fakeServices } from './fakes.ts';
import { type LogSink, startLogSink } from './log-sink.ts';

const QUEUE = { max_batch_size: 1, max_retry_time: 60, initial_retry_delay: 0.05, max_retry_delay: 0.1 };

describe.each(hosts)('log entries on %s', (_, start) => {
  let gateway: CaseGateway;
  let sink: LogSink;
  let secure: LogSink;
  let tcp: Server;
  let tls: Server;
  let udp: UdpSocket;
  let folder: string;
  const lines: string[] = [];
  const secureLines: string[] = [];
  const names: (string | false)[] = [];
  const packets: string[] = [];
  let connections = 0;
  /** Takes connections, and nothing on the first of them until it is told to. */
  let slow: Server;
  const slowSockets: Socket[] = [];
  const slowLines: string[] = [];
  /** Takes a little at a time. */
  let late: Server;
  const lateLines: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast log '));
    sink = await startLogSink();
    const keep = (socket: Socket, into: string[]): void => {
      let rest = '';
      socket.setEncoding('utf8').on('data', (text: string) => {
        const parts = `${rest}${text}`.split('\n');
        rest = parts.pop() ?? '';
        into.push(...parts);
      });
      socket.on('error', () => undefined);
    };
    tcp = createServer((socket) => {
      connections += 1;
      keep(socket, lines);
    }).listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    slow = createServer((socket) => {
      if (slowSockets.push(socket) > 1) keep(socket, slowLines);
      else socket.pause().on('error', () => undefined);
    }).listen(0, '127.0.0.1');
    await once(slow, 'listening');
    late = createServer((socket) => {
      keep(socket, lateLines);
      socket.on('data', () => {
        socket.pause();
        setTimeout(() => socket.resume(), 3);
      });
    }).listen(0, '127.0.0.1');
    await once(late, 'listening');
    const ca = await authority('logs');
    const trusted = join(folder, 'ca.pem');
    await writeFile(trusted, ca.pem);
    secure = await startLogSink(await ca.leaf({ name: 'localhost' }));
    tls = createTlsServer(await ca.leaf({ name: 'logs.test' }), (socket) => {
      names.push(socket.servername ?? false);
      keep(socket, secureLines);
    }).listen(0, '127.0.0.1');
    await once(tls, 'listening');
    udp = createSocket('udp4', (packet) => void packets.push(packet.toString('utf8')));
    udp.bind(0, '127.0.0.1');
    await once(udp, 'listening');
    gateway = await startCaseGateway(start, {
      tls: false,
      environment: { HOLDFAST_LUA_SSL_TRUSTED_CERTIFICATE: trusted },
    });
    const on = async (name: string, plugin: string, config: object): Promise<void> => {
      await admin(`${gateway.admin}/routes`, 'POST', { name, hosts: [`${name}.test`] });
      await admin(`${gateway.admin}/routes/${name}/plugins`, 'POST', { name: plugin, config });
    };
    const http = `127.0.0.1:${sink.port}`;
    const peer = { host: '127.0.0.1', port: (tcp.address() as AddressInfo).port };
    const packet = { host: '127.0.0.1', port: udp.address().port };
    await on('one', 'http-log', {
      // With an escape, and what is none.
      http_endpoint: `http://a%20b:5%@${http}/one?q=1`,
      headers: { 'X-Own': 'x' },
      // As long as it takes by default.
      timeout: 0,
      queue: QUEUE,
    });
    const batch = { ...QUEUE, max_batch_size: 3, max_coalescing_delay: 0.5 };
    await on('batch-a', 'http-log', { http_endpoint: `http://${http}/batch`, method: 'PUT', queue: batch });
    await on('batch-b', 'http-log', { http_endpoint: `http://${http}/batch`, method: 'PUT', queue: batch });
    const former = { queue_size: 2, flush_timeout: 600, retry_count: 3 };
    await on('former', 'http-log', { http_endpoint: `http://${http}/former`, ...former });
    await on('again', 'http-log', { http_endpoint: `http://${http}/again`, timeout: 1_000, queue: QUEUE });
    // Computed by Lua for each request, in place of what there was and beside it.
    const custom_fields_by_lua = {
      who: "return kong.request.get_header('x-case') .. ' by ' .. kong.router.get_route().name",
      'request.headers.x-secret': 'return nil',
    };
    await on('file', 'file-log', { path: join(folder, 'entries'), custom_fields_by_lua });
    await on('moved', 'file-log', { path: join(folder, 'moved'), reopen: true });
    await on('no-folder', 'file-log', { path: join(folder, 'none', 'entries') });
    await on('is-folder', 'file-log', { path: folder });
    await on('device', 'file-log', { path: '/dev/null' });
    await on('tcp', 'tcp-log', { ...peer, timeout: 0, custom_fields_by_lua });
    // Half a megabyte, where it is wanted.
    const long = Object.fromEntries(
      ['a', 'b', 'c', 'd', 'e'].map((name) => [
        name,
        "return ('x'):rep(kong.request.get_header('x-case') == 'lost' and 100000 or 0)",
      ]),
    );
    const longTo = (server: Server, timeout: number) => ({
      host: '127.0.0.1',
      port: (server.address() as AddressInfo).port,
      timeout,
      custom_fields_by_lua: long,
    });
    await on('slow', 'tcp-log', longTo(slow, 500));
    await on('late', 'tcp-log', longTo(late, 30_000));
    const overTls = { host: '127.0.0.1', port: (tls.address() as AddressInfo).port, tls: true };
    await on('tls', 'tcp-log', { ...overTls, tls_sni: 'logs.test' });
    await on('tls-other', 'tcp-log', { ...overTls, tls_sni: 'other.test' });
    await on('https', 'http-log', { http_endpoint: `https://localhost:${secure.port}/secure`, queue: QUEUE });
    await on('udp', 'udp-log', { ...packet, custom_fields_by_lua });
    await on('loggly', 'loggly', {
      ...packet,
      custom_fields_by_lua,
      key: 'the-key',
      tags: ['kong', 'q"uote]'],
      log_level: 'err',
      successful_severity: 'info',
      client_errors_severity: 'warning',
      server_errors_severity: 'crit',
    });
    await gateway.applied();
  });
  afterAll(async () => {
    await gateway?.stop();
    await sink?.stop();
    await secure?.stop();
    tcp?.close();
    slow?.close();
    late?.close();
    tls?.close();
    udp?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Routes without a service: answered 503. */
  const ask = (name: string, what: string): Promise<unknown> =>
    rawRequest(gateway.ports.plain, [
      'GET /x?of=%D0%B6%E5%AD%97 HTTP/1.1',
      ...[`Host: ${name}.test`, `X-Case: ${what}`, 'X-Secret: s3cret'],
    ]);
  const told = (text: string): string => JSON.parse(text).request.headers['x-case'];

  it('go to an HTTP server with user, password and headers, one by one', async () => {
    await ask('one', 'alone');
    const { method, target, headers, text } = await sink.find('an entry', (sent) => sent.target.startsWith('/one'));
    expect([method, target, told(text)]).toEqual(['POST', '/one?q=1', 'alone']);
    expect(headers).toMatchObject({
      authorization: `Basic ${Buffer.from('a b:5%').toString('base64')}`,
      'x-own': 'x',
      'content-type': 'application/json',
    });
  });

  it('go in batches that plugins with equal settings share', async () => {
    await Promise.all([ask('batch-a', '1'), ask('batch-b', '2'), ask('batch-a', '3')]);
    const full = await sink.find('a whole batch', (sent) => sent.target === '/batch');
    expect(full.method).toBe('PUT');
    const entries: { request: { headers: object; querystring: object } }[] = JSON.parse(full.text);
    expect(entries.map((entry) => told(JSON.stringify(entry))).sort()).toEqual(['1', '2', '3']);
    expect(entries.map(({ request }) => request.querystring)).toEqual(Array(3).fill({ of: 'ж字' }));
    await ask('batch-b', '4');
    const alone = await sink.find('the rest', (sent) => sent.target === '/batch' && sent !== full);
    expect(JSON.parse(alone.text)).toHaveLength(1);
  });

  it('go in batches as the fields of former versions say, and the log tells which has no effect', async () => {
    await Promise.all([ask('former', '1'), ask('former', '2')]);
    const { text } = await sink.find('a batch of two', (sent) => sent.target === '/former');
    expect(JSON.parse(text)).toHaveLength(2);
    await expect
      .poll(() => gateway.log.join('\n'), { message: 'a line about retry_count' })
      .toMatch(/plugin http-log \([\da-f-]{36}\): retry_count has no effect/);
  });

  it('are sent again to a server that refuses, breaks off or redirects, until it takes them', async () => {
    const sent = () => sink.received.filter(({ target }) => target === '/again').length;
    for (const answer of [500, 'close', 302, 200] as const) {
      const before = sent();
      sink.answer = answer;
      if (answer === 500) await ask('again', 'kept');
      await until(() => sent() > before, `an attempt that is answered ${answer}`);
    }
    const { text } = sink.received.findLast(({ target }) => target === '/again') ?? { text: '' };
    expect(told(text)).toBe('kept');
  });

  it('make no request wait for a server that takes them and says nothing', async () => {
    const sent = () => sink.received.filter(({ target }) => target === '/again').map(({ text }) => told(text));
    sink.answer = null;
    try {
      // Each is answered while the first entry is still in the hands of its server, which never says that it has it.
      for (const what of ['silent-1', 'silent-2', 'silent-3']) await ask('again', what);
      await until(() => sent().includes('silent-1'), 'an attempt that is not answered');
      expect(sent()).not.toContain('silent-2');
    } finally {
      sink.answer = 200;
    }
    await until(() => sent().includes('silent-3'), 'all that waited', 60_000);
    expect(sent().lastIndexOf('silent-1')).toBeLessThan(sent().indexOf('silent-2'));
  });

  it('are lines of a file', async () => {
    await Promise.all(['1', '2', '3'].map((what) => ask('file', what)));
    const read = async () => (await readFile(join(folder, 'entries'), 'utf8').catch(() => '')).split('\n');
    await until(async () => (await read()).length === 4, 'three lines in the file');
    expect((await read()).slice(0, 3).map(told).sort()).toEqual(['1', '2', '3']);
  });

  it('are lines of the file of that name, also once it was moved, and told where there can be none', async () => {
    const read = async (name: string) => readFile(join(folder, name), 'utf8').catch(() => '');
    await ask('moved', 'before');
    await until(async () => (await read('moved')).includes('before'), 'the first line');
    await rename(join(folder, 'moved'), join(folder, 'moved.1'));
    await ask('moved', 'after');
    await until(async () => (await read('moved')).includes('after'), 'a line in a file of that name');
    expect(await read('moved.1')).not.toContain('after');
    for (const route of ['device', 'no-folder', 'is-folder']) await ask(route, 'x');
    const told = () => gateway.log.filter((line) => line.includes('queue file-log'));
    await expect
      .poll(told, { message: 'a line about each that cannot be written', timeout: 60_000 })
      .toEqual(
        expect.arrayContaining([
          expect.stringMatching(/none\/entries.* 1 entries could not be sent and were dropped: .*ENOENT/),
          expect.stringMatching(/1 entries could not be sent and were dropped: .*EISDIR/),
        ]),
      );
    expect(told().join()).not.toContain('/dev/null');
  });

  it('go over TLS to servers whose certificates are trusted and bear the name, and to no others', async () => {
    await ask('https', 'secret');
    expect(told((await secure.find('an entry over TLS', ({ target }) => target === '/secure')).text)).toBe('secret');
    await ask('tls-other', 'astray');
    await ask('tls', 'secret');
    await until(() => secureLines.some((line) => told(line) === 'secret'), 'a line over TLS');
    await expect
      .poll(() => gateway.log.join(''), { message: 'a line about the other name', timeout: 60_000 })
      .toMatch(/queue tcp-log \S+ over TLS as other\.test [\da-f]{12}: 1 entries could not be sent and were dropped/);
    expect(secureLines.join()).not.toContain('astray');
    expect(names).toContain('logs.test');
  });

  it('are lines on one connection that is kept', async () => {
    for (const what of ['1', '2']) {
      await ask('tcp', what);
      await until(() => lines.some((line) => told(line) === what), `line ${what}`);
    }
    expect(connections).toBe(1);
  });

  it('are given up where their server takes nothing, and its connection with them', async () => {
    const dropped = () => gateway.log.join('\n').match(/tcp-log.*dropped: .*not all was taken within 500 ms/g) ?? [];
    // More than what lies between the two can hold.
    for (let tries = 0; tries < 80 && dropped().length === 0; tries++) await ask('slow', 'lost');
    await until(() => dropped().length > 0, 'a line about what was dropped');
    await until(async () => {
      await ask('slow', 'told');
      return slowLines.some((line) => told(line) === 'told');
    }, 'a line on another connection');
    slowSockets[0]?.resume();
    await expect.poll(() => slowSockets[0]?.destroyed, { message: 'the end of the first connection' }).toBe(true);
  });

  it('arrive whole, however late their server takes them', async () => {
    // More than what lies between the two can hold: the end of an entry is on its way when its connection could be left to the next.
    for (let entry = 0; entry < 30; entry++) await ask('late', 'lost');
    await until(() => lateLines.length >= 30, 'all lines');
    expect(lateLines.map(told)).toEqual(Array.from({ length: 30 }, () => 'lost'));
  });

  it('are packets, for Loggly with its head, as urgent as the answer', async () => {
    await ask('udp', 'packet');
    await ask('loggly', 'crit');
    await until(() => packets.length === 2, 'two packets');
    expect(told(packets.find((packet) => packet.startsWith('{')) ?? '')).toBe('packet');
    expect(packets.join('')).not.toContain('\n');
    const [, head, entry = ''] = /^(<.*?\]) (\{.*)$/.exec(packets.find((packet) => packet.startsWith('<')) ?? '') ?? [];
    expect(head).toMatch(
      /^<10>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+ kong - - \[the-key@41058 tag="kong" tag="q\\"uote\\\]"\]$/,
    );
    expect(told(entry)).toBe('crit');
  });

  it.each<[string, () => Promise<string>]>([
    ['file', () => readFile(join(folder, 'entries'), 'utf8').catch(() => '')],
    ['tcp', async () => lines.join('\n')],
    ['udp', async () => packets.join('\n')],
    ['loggly', async () => packets.join('\n')],
  ])(
    'have the fields that custom_fields_by_lua of %s-log computes, and lack those it takes out',
    async (route, read) => {
      await ask(route, 'Lua');
      const own = async () => (await read()).split('\n').find((line) => line.includes(`"who":"Lua by ${route}"`));
      await expect.poll(own, { message: 'the entry with its own field' }).toContain('"x-case":"Lua"');
      expect(await own()).not.toContain('s3cret');
    },
  );
});

describe('what a plugin that logs makes of an exchange', () => {
  const severities = {
    log_level: 'warning',
    successful_severity: 'info',
    client_errors_severity: 'warning',
    server_errors_severity: 'err',
    custom_fields_by_lua: null,
  } as const;

  it.each([
    [200, []],
    [404, ['warning']],
    [503, ['err']],
  ])('goes to syslog as its status says: %i', async (status, expected) => {
    const written: SyslogLine[] = [];
    const services = fakeServices({ syslog: async (all) => void written.push(...all) });
    const custom_fields_by_lua = { told: "return 'in Lua: ' .. kong.response.get_status()" };
    const hooks = syslog.compile({ ...severities, custom_fields_by_lua, facility: 'local3' }, EVERYWHERE, services);
    const { exchange, over } = exchangeOf(status);
    hooks.log?.(exchange);
    await over();
    expect(written.map(({ severity }) => severity)).toEqual(expected);
    for (const { facility, message } of written) {
      expect(facility).toBe('local3');
      expect(JSON.parse(message)).toMatchObject({ response: { status }, told: `in Lua: ${status}` });
    }
  });

  it('lacks the fields whose Lua does not end, has those after them, and the log says which', async () => {
    const written: SyslogLine[] = [];
    const problems: string[] = [];
    const services = fakeServices({
      syslog: async (all) => void written.push(...all),
      log: (_, message) => void problems.push(message),
    });
    const custom_fields_by_lua = {
      loop: 'while true do end',
      caught: 'while true do pcall(function() while true do end end) end',
      text: 'return ("x"):rep(1e9)',
      told: "return 'at the end'",
    };
    const hooks = syslog.compile({ ...severities, custom_fields_by_lua, facility: 'user' }, EVERYWHERE, services);
    const { exchange, over } = exchangeOf(503);
    hooks.log?.(exchange);
    await over();
    const entries = written.map(({ message }) => JSON.parse(message));
    expect(entries).toMatchObject([{ response: { status: 503 }, told: 'at the end' }]);
    expect(entries.flatMap((entry) => ['loop', 'caught', 'text'].filter((name) => name in entry))).toEqual([]);
    for (const [name, why] of [
      ['loop', 'instruction budget used up'],
      ['caught', 'instruction budget used up'],
      ['text', 'resulting string too large'],
    ] as const) {
      const told = problems.filter((line) => line.includes(`custom_fields_by_lua.${name}: `) && line.includes(why));
      expect(told, problems.join('\n')).toHaveLength(1);
    }
  });

  it('goes over TCP as the configuration says that has taken the place of another', async () => {
    const timeouts: number[] = [];
    const services = fakeServices({
      connect: async (_, { timeout }) => {
        timeouts.push(timeout);
        throw new ServiceError('unreachable', 'nobody is there');
      },
    });
    const peer = { host: 'logs.test', port: 1, keepalive: 1, tls: false, tls_sni: null, custom_fields_by_lua: null };
    const before = tcpLog.compile({ ...peer, timeout: 10_000 }, EVERYWHERE, services);
    const now = tcpLog.compile({ ...peer, timeout: 100 }, EVERYWHERE, services);
    before.close?.();
    const { exchange, over } = exchangeOf(200);
    now.log?.(exchange);
    await over();
    expect(timeouts).toEqual([100]);
  });

  it('is put into words once, however many of them log', async () => {
    const written: string[] = [];
    const services = fakeServices({
      append: async (_, text) => void written.push(text.trimEnd()),
      syslog: async (all) => void written.push(...all.map(({ message }) => message)),
    });
    const all = [
      fileLog.compile({ path: '/x', reopen: false, custom_fields_by_lua: null }, EVERYWHERE, services),
      fileLog.compile({ path: '/y', reopen: false, custom_fields_by_lua: null }, EVERYWHERE, services),
      syslog.compile({ ...severities, facility: 'user' }, EVERYWHERE, services),
    ];
    const { exchange, over } = exchangeOf(503);
    const stringify = vi.spyOn(JSON, 'stringify');
    try {
      for (const hooks of all) hooks.log?.(exchange);
      const entries = stringify.mock.calls.filter(([value]) => Object(value).latencies !== undefined);
      expect(entries).toHaveLength(1);
    } finally {
      stringify.mockRestore();
    }
    await over();
    expect(written).toHaveLength(3);
    expect(new Set(written).size).toBe(1);
  });

  it('is not waited for by the plugin, and what cannot be written is told without secrets', async () => {
    const told: string[] = [];
    const log = (_: string, line: string) => void told.push(line);
    const append = async () => Promise.reject(new Error('the disk is full'));
    const files = fileLog.compile(
      { path: '/x', reopen: false, custom_fields_by_lua: null },
      EVERYWHERE,
      fakeServices({ append, log }),
    );
    const fetch = async () => Promise.reject(new Error('refused'));
    const queue = {
      ...QUEUE,
      max_retry_time: 0,
      max_coalescing_delay: 0,
      max_entries: 10,
      max_bytes: null,
      concurrency_limit: 1,
    };
    const http = httpLog.compile(
      {
        http_endpoint: 'https://user:pass-word@logs.test/in?token=s3cret',
        method: 'POST',
        content_type: 'application/json',
        timeout: 1,
        keepalive: 1,
        retry_count: null,
        queue_size: null,
        flush_timeout: null,
        headers: { 'X-Key': 'k3y' },
        queue: { ...queue, concurrency_limit: 1 },
        custom_fields_by_lua: null,
      },
      EVERYWHERE,
      fakeServices({ fetch, log }),
    );
    const { exchange, over } = exchangeOf(200);
    files.log?.(exchange);
    http.log?.(exchange);
    await over();
    expect(told.join('\n')).toMatch(
      /queue file-log \/x: 1 entries could not be sent and were dropped: the disk is full/,
    );
    expect(told.join('\n')).toMatch(/queue http-log https:\/\/logs\.test\/in [\da-f]{12}: .* refused/);
    expect(told.join('\n')).not.toMatch(/pass-word|s3cret|k3y/);
  });
});
