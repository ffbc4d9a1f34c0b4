import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ControlPlane } from '../../../../edge-dp/durable/control-planes.ts';
import { Link, type LinkOwner } from '../../../../edge-dp/durable/link.ts';
import { HEARTBEAT_DEADLINE, HEARTBEAT_INTERVAL } from '../../../../shared/cluster/messages.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** The runtime's WebSocket, as far as the link uses it. */
class Socket extends EventTarget {
  readonly sent: { type: string }[] = [];
  open = true;
  #accepted = false;
  accept(): void {
    this.#accepted = true;
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    if (!this.#accepted) throw new TypeError('it was not accepted');
    this.open = false;
  }
  hear(text: string): void {
    this.dispatchEvent(Object.assign(new Event('message'), { data: text }));
  }
}

/** A link whose alarm is a timer; gives what it logs. */
function follow(planes: readonly ControlPlane[], greeting: LinkOwner['greeting'] = async () => []): string[] {
  const log: string[] = [];
  let alarm: ReturnType<typeof setTimeout> | null = null;
  const owner: LinkOwner = {
    nodeId: '00000000-0000-4000-8000-000000000000',
    greeting,
    heartbeat: () => ({ type: 'heartbeat', serial: 1, config_hash: null }),
    receive: () => undefined,
    log: (_level, message) => void log.push(message),
    wakeIn(milliseconds) {
      clearTimeout(alarm);
      alarm = setTimeout(() => void link.tick(), milliseconds);
    },
  };
  const link: Link = new Link(planes, owner, 0);
  void link.tick();
  return log;
}

/** A link to control planes that take every upgrade. */
function linkTo(
  planes: number,
  greeting?: LinkOwner['greeting'],
): { readonly sockets: Socket[]; readonly asked: number[]; readonly log: string[] } {
  const sockets: Socket[] = [];
  const asked: number[] = [];
  const upgrade =
    (place: number) =>
    async (path: string): Promise<Response> => {
      if (path !== '/v1/link') return Response.json({ challenge: 'of a form that nobody gets to' });
      const socket = new Socket();
      sockets.push(socket);
      asked.push(place);
      return Object.assign(new Response(), { webSocket: socket });
    };
  const log = follow(
    Array.from({ length: planes }, (_, place) => ({ fetch: upgrade(place) })),
    greeting,
  );
  return { sockets, asked, log };
}

test('says a heartbeat every interval while the control plane answers', async () => {
  const { sockets } = linkTo(1);
  await vi.advanceTimersByTimeAsync(0);
  for (let beat = 1; beat <= 10; beat++) {
    await vi.advanceTimersByTimeAsync(HEARTBEAT_INTERVAL);
    sockets[0]?.hear('{"type":"heartbeat","serial":1,"config_hash":null}');
  }
  expect(sockets.length).toBe(1);
  expect(sockets[0]?.sent.filter(({ type }) => type === 'heartbeat').length).toBeGreaterThanOrEqual(9);
});

test('gives up a control plane that fell silent, and goes to the next one', async () => {
  const { sockets, asked, log } = linkTo(2);
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toEqual([0]);
  await vi.advanceTimersByTimeAsync(HEARTBEAT_DEADLINE - 1);
  expect(sockets[0]?.open).toBe(true);
  await vi.advanceTimersByTimeAsync(HEARTBEAT_DEADLINE);
  expect(sockets[0]?.open).toBe(false);
  expect(log.join()).toMatch(/silent for \d+ ms/);
  expect(asked.slice(0, 2)).toEqual([0, 1]);
});

test('gives up a control plane that fell silent also when the clock was set back by a day', async () => {
  const { sockets, asked } = linkTo(2);
  await vi.advanceTimersByTimeAsync(0);
  vi.setSystemTime(Date.now() - 86_400_000);
  await vi.advanceTimersByTimeAsync(2 * HEARTBEAT_DEADLINE);
  expect(sockets[0]?.open).toBe(false);
  expect(asked.slice(0, 2)).toEqual([0, 1]);
});

test('a message it cannot read is logged and does no harm', async () => {
  const { sockets, log } = linkTo(1);
  await vi.advanceTimersByTimeAsync(0);
  sockets[0]?.hear('{"type":"manifest"');
  sockets[0]?.hear('{"type":"of a later version"}');
  expect(sockets[0]?.open).toBe(true);
  expect(log.filter((line) => line.includes('not understood')).length).toBe(1);
});

test('goes back from polling to the WebSocket after five minutes', async () => {
  const sockets: Socket[] = [];
  let upgrades = 0;
  let polls = 0;
  let passing = false;
  const fetch = async (path: string): Promise<Response> => {
    if (path === '/v1/link') {
      upgrades++;
      if (!passing) return Object.assign(new Response('no upgrades here', { status: 426 }), { webSocket: null });
      const socket = new Socket();
      sockets.push(socket);
      return Object.assign(new Response(), { webSocket: socket });
    }
    if (path === '/v1/challenge') return new Response(null, { status: 404 });
    if (path.startsWith('/v1/status')) return new Response(null, { status: 204 });
    polls++;
    const wait = Number(new URL(path, 'https://control-plane').searchParams.get('wait'));
    await new Promise((resolve) => setTimeout(resolve, wait * 1000));
    return new Response(null, { status: 304 });
  };
  const log = follow([{ fetch }]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(log.join()).toContain('polling over HTTPS');
  const [tried, asked] = [upgrades, polls];
  passing = true;
  await vi.advanceTimersByTimeAsync(180_000);
  expect(sockets).toEqual([]);
  expect(upgrades).toBe(tried);
  expect(polls).toBeGreaterThan(asked + 3);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(sockets).toHaveLength(1);
});

test('leaves no connection open over which it cannot say who it is', async () => {
  const { sockets, log } = linkTo(1, () => Promise.reject(new Error('the disk is away')));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sockets.length).toBeGreaterThan(2);
  expect(sockets.filter(({ open }) => open)).toEqual([]);
  expect(log[0]).toContain('the disk is away');
});

test.each([
  ['is broken off', true],
  ['changes nothing any more where it is answered all the same', false],
])('a question that is open when polling is given up %s', async (_, breaks) => {
  vi.useRealTimers();
  const answers: (() => void)[] = [];
  let accepts = true;
  const plane = {
    async fetch(path: string, { signal }: RequestInit = {}): Promise<Response> {
      if (path.startsWith('/v1/link')) throw new Error('upgrades do not get through');
      if (path.startsWith('/v1/challenge')) return new Response(null, { status: 404 });
      if (path.startsWith('/v1/status')) return new Response(null, { status: accepts ? 204 : 503 });
      if (!path.endsWith('wait=0')) {
        await new Promise<void>((resolve, reject) => {
          answers.push(resolve);
          if (breaks) signal?.addEventListener('abort', () => reject(new Error('broken off')));
        });
      }
      return new Response(null, { status: 304 });
    },
  };
  const wakes: number[] = [];
  const owner: LinkOwner = {
    nodeId: '00000000-0000-4000-8000-000000000000',
    greeting: async () => [],
    heartbeat: () => ({ type: 'heartbeat', serial: null, config_hash: null }),
    receive: () => undefined,
    wakeIn: (milliseconds) => void wakes.push(milliseconds),
    log: () => undefined,
  };
  const link = new Link([plane], owner, 0);
  for (let tick = 0; tick < 3; tick++) await link.tick();
  expect(link.connected).toBe(true);
  const { failures } = link;
  const asking = link.tick();
  await expect.poll(() => answers.length).toBe(1);
  accepts = false;
  link.send(owner.heartbeat());
  await expect.poll(() => link.connected).toBe(false);
  const given = wakes.length;
  if (!breaks) answers[0]?.();
  await asking;
  expect(link.connected).toBe(false);
  expect(link.failures).toBe(failures + 1);
  expect(wakes).toHaveLength(given);
});
