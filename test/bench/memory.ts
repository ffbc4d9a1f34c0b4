import { Agent, get as httpGet, request as httpRequest } from 'node:http';
import { connect } from 'node:net';

import { openIdle } from '../idle-connections.ts';
import { descendants, residentMemory } from '../proc.ts';
import { say } from './processes.ts';
import type { Rival } from './rival.ts';

export const MEMORY_SCENARIOS = [
  'memory: 10,000 idle connections',
  'memory: 2,000 idle TLS connections',
  'memory: 1 GB both ways',
  'memory: 100,000 clients limited in a minute',
  'memory: a million requests behind 200,000',
] as const;

/** MB of the gateway and all its processes. */
export interface Memory {
  readonly scenario: string;
  readonly before: number;
  readonly most: number;
  readonly behind: number;
}

/** `path` leads to the upstream of the bench, `limitedPath` as well, with rate-limiting by the header X-Client. */
export async function measureMemory(
  ours: Rival,
  path: string,
  limitedPath: string,
  wanted: (scenario: string) => boolean,
): Promise<Memory[]> {
  const works: readonly (readonly [string, work: () => Promise<unknown>, first?: () => Promise<unknown>])[] = [
    [MEMORY_SCENARIOS[0], () => idle(ours.ports.plain ?? 0, 10_000, false, path)],
    [MEMORY_SCENARIOS[1], () => idle(ours.ports.tls ?? 0, 2_000, true, path)],
    [MEMORY_SCENARIOS[2], () => mirror(ours.ports.plain ?? 0, `${path}/mirror`, 1 << 10)],
    [MEMORY_SCENARIOS[3], () => clients(ours.ports.plain ?? 0, limitedPath, 100_000)],
    // What the first bring about, compiled code above all, is no growth.
    [
      MEMORY_SCENARIOS[4],
      () => requests(ours.ports.plain ?? 0, path, 1_000_000),
      () => requests(ours.ports.plain ?? 0, path, 200_000),
    ],
  ];
  const measured: Memory[] = [];
  for (const [scenario, work, first] of works) {
    if (!wanted(scenario)) continue;
    say(`  ${scenario}`);
    await first?.();
    const before = megabytes(ours);
    let most = before;
    const watch = setInterval(() => {
      most = Math.max(most, megabytes(ours));
    }, 250);
    try {
      await work();
    } finally {
      clearInterval(watch);
    }
    measured.push({ scenario, before, most: Math.max(most, megabytes(ours)), behind: megabytes(ours) });
  }
  return measured;
}

async function idle(port: number, count: number, tls: boolean, path: string): Promise<void> {
  const connections = await openIdle(port, count, { path, tls });
  // As long as it takes to see them at rest.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const open = connections.open();
  connections.end();
  if (open < count) throw new Error(`${count - open} of ${count} idle connections were closed`);
}

/** Sends so many MB to where all of it comes back. */
function mirror(port: number, path: string, megabytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port, path, method: 'POST', agent: false });
    const part = Buffer.alloc(1 << 20, 7);
    let left = megabytes;
    let returned = 0;
    const write = (): void => {
      while (left > 0) {
        left -= 1;
        if (!request.write(part)) return void request.once('drain', write);
      }
      request.end();
    };
    request.on('error', reject).on('response', (response) => {
      response.on('error', reject).on('data', (data: Buffer) => {
        returned += data.byteLength;
      });
      response.on('end', () => {
        if (returned === megabytes << 20) resolve();
        else reject(new Error(`${returned} bytes came back of ${megabytes} MB`));
      });
    });
    write();
  });
}

/** One request of each of so many clients. */
async function clients(port: number, path: string, count: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 50 });
  let next = 0;
  const one = (client: number): Promise<void> =>
    new Promise((resolve, reject) => {
      httpGet({ port, path, agent, headers: { 'x-client': `client-${client}` } }, (response) => {
        const { 'x-ratelimit-remaining-minute': left } = response.headers;
        if (response.statusCode !== 200 || left !== '9')
          reject(new Error(`client ${client}: ${response.statusCode}, with ${left} left of 10`));
        response.resume().on('end', resolve);
      }).on('error', reject);
    });
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      for (let client = next++; client < count; client = next++) await one(client);
    }),
  );
  agent.destroy();
}

/** So many requests on 50 connections. */
async function requests(port: number, path: string, count: number): Promise<void> {
  const request = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: */*\r\n\r\n`);
  let left = count;
  const client = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1');
      let answer = '';
      const next = (): void => {
        answer = '';
        left -= 1;
        if (left >= 0) socket.write(request);
        else socket.end();
      };
      socket.setNoDelay().setEncoding('latin1').on('connect', next).on('error', reject).on('close', resolve);
      socket.on('data', (part: string) => {
        answer += part;
        const head = answer.indexOf('\r\n\r\n');
        const [, length] = /\r\ncontent-length: *(\d+)/i.exec(answer.slice(0, head + 2)) ?? [];
        if (head < 0 || answer.length < head + 4 + Number(length)) return;
        if (answer.startsWith('HTTP/1.1 200 ')) next();
        else reject(new Error(answer));
      });
    });
  await Promise.all(Array.from({ length: 50 }, client));
}

function megabytes({ child }: Rival): number {
  const pids = child.pid === undefined ? [] : [child.pid, ...descendants(child.pid)];
  return Math.round(pids.reduce((sum, pid) => sum + residentMemory(pid), 0) / (1 << 20));
}
