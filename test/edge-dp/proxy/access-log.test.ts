import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KNOWN_FORMATS } from '../../../shared/access-log/format.ts';
import { once } from '../../once.ts';
import { GATEWAY_HOSTS, type RunningGateway, startGateway } from './gateway.ts';

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

/** Whatever is written to the log of the node that is no line of this. */
const MARK = 'line: ';
const FORMAT = {
  escape: 'default',
  text: `${MARK}$remote_user "$request" $status $body_bytes_sent "$http_user_agent" $upstream_addr $upstream_status $route_name $service_name $arg_a $sent_http_x_up`,
} as const;

describe.each(GATEWAY_HOSTS)('the access log on %s', (host) => {
  let upstream: Server;
  let gateway: RunningGateway;
  let port: number;

  beforeAll(async () => {
    upstream = createServer((request, response) => {
      response.setHeader('x-up', 'yes');
      if (request.url !== '/endless') response.end('12345');
      else for (let part = 0; part < 40; part++) response.write('x'.repeat(1 << 20));
    }).listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    port = (upstream.address() as AddressInfo).port;
    gateway = await startGateway({
      host,
      tables: {
        services: [
          { id: id(1), name: 'up', protocol: 'http', host: '127.0.0.1', port },
          { id: id(2), name: 'down', protocol: 'http', host: '127.0.0.1', port: 9, retries: 1 },
        ],
        routes: [
          { id: id(11), name: 'fine', protocols: ['http'], paths: ['/fine'], service: { id: id(1) } },
          { id: id(12), name: 'broken', protocols: ['http'], paths: ['/broken'], service: { id: id(2) } },
        ],
      },
      proxy: { accessLog: { path: '/dev/stdout', format: FORMAT } },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    upstream?.closeAllConnections();
    upstream?.close();
  });

  /** What is said of one request that its path tells apart. */
  const told = (part: string) =>
    expect.poll(
      () =>
        gateway.log
          .filter((line) => line.startsWith(MARK) && line.includes(part))
          .map((line) => line.slice(MARK.length)),
      { message: `a line of ${part}`, timeout: 20_000 },
    );

  it('has a line for each request, also for those that no route or upstream answered, without plugins', async () => {
    const get = (path: string, lines = '') => gateway.raw(`GET ${path} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`);
    await get('/fine?a=1', `User-Agent: x"\\y\xe9\r\nAuthorization: Basic ${btoa('joe:secret')}\r\n`);
    await get('/none');
    await get('/broken?key=secret');
    await told('/fine?a=1').toEqual([
      expect.stringMatching(
        new RegExp(
          String.raw`^joe "GET /fine\?a=1 HTTP/1\.1" 200 5 "x\\x22\\x5Cy(\\xC3\\xA9|\\xE9)+.*" 127\.0\.0\.1:${port} 200 fine up 1 yes$`,
        ),
      ),
    ]);
    await told('/none').toEqual([expect.stringMatching(/^- "GET \/none HTTP\/1\.1" 404 \d+ "-" - - - - - -$/)]);
    await told('/broken').toEqual([
      expect.stringMatching(
        /^- "GET \/broken\?key=secret HTTP\/1\.1" 502 \d+ "-" 127\.0\.0\.1:9, 127\.0\.0\.1:9 502, 502 broken down - -$/,
      ),
    ]);
    // The line of the error log has all but the query.
    const failures = () => gateway.log.filter((line) => !line.includes(MARK) && line.includes('/broken'));
    await expect
      .poll(failures)
      .toEqual([
        expect.stringMatching(
          /request \w{32}: GET \/broken, (client \S+, )?route broken, service down, upstream 127\.0\.0\.1:9: \w+: ./,
        ),
      ]);
  });

  it('tells of a client that left in the middle of its answer as nginx does, where the runtime tells who left', async () => {
    const client = connect(Number(new URL(gateway.url).port), '127.0.0.1');
    client.write('GET /fine/endless HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(client, 'data');
    client.destroy();
    // workerd may end upstream and client with the same words, and nobody can tell then who of them left.
    const left = host === 'node' ? / 499 0 / : / (499 0|200 -) /;
    await told('/endless').toEqual([expect.stringMatching(left)]);
  });
});

it('writes Kong’s line where no format is named', () => {
  expect(KNOWN_FORMATS.kong_log_format.text).toBe(
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" kong_request_id: "$kong_request_id"',
  );
});
