import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from '../proxy/gateway.ts';
import { startUpstream, type Upstream } from '../proxy/upstream.ts';

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';

describe('correlation-id', () => {
  let upstream: Upstream;
  let gateway: RunningGateway;

  beforeAll(async () => {
    upstream = await startUpstream();
    const generators = ['uuid', 'uuid#counter', 'tracker'];
    gateway = await startGateway({
      tables: {
        services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port: upstream.port }],
        routes: generators.map((_, n) => ({
          id: id(100 + n),
          paths: [`/${n}`],
          protocols: ['http'],
          service: n === 2 ? null : { id: id(1) },
        })),
        plugins: generators.map((generator, n) => ({
          id: id(200 + n),
          name: 'correlation-id',
          route: { id: id(100 + n) },
          config: { header_name: 'X-Correlation', generator, echo_downstream: n > 0 },
        })),
      },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  const get = async (path: string, headers = '') => {
    const answer = await gateway.raw(`GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`);
    return {
      upstream: upstream.seen.at(-1)?.header('X-Correlation'),
      client: /\r\nX-Correlation: (.*)\r\n/.exec(answer)?.[1],
    };
  };

  it('makes an id for requests without one and keeps the id of the others', async () => {
    const made = await get('/0');
    expect(made.upstream).toMatch(new RegExp(`^${UUID}$`));
    expect(made.client).toBeUndefined();
    expect((await get('/0', 'X-Correlation: mine\r\n')).upstream).toBe('mine');
  });

  it('counts up and echoes the same id to the client', async () => {
    const [first, second] = [await get('/1'), await get('/1')];
    expect(first.upstream).toMatch(new RegExp(`^${UUID}#\\d+$`));
    expect(first.client).toBe(first.upstream);
    const number = (text = '') => Number(text.split('#')[1]);
    expect(number(second.upstream)).toBe(number(first.upstream) + 1);
    expect((await get('/1', 'X-Correlation: mine\r\n')).client).toBe('mine');
  });

  it('marks answers of the gateway itself too', async () => {
    expect((await get('/2')).client).toMatch(/^0\.0\.0\.0-0-\d+-\d+-1-\d+\.\d{3}$/);
  });
});
