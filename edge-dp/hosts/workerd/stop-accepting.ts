import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { messageOf } from '../../../shared/thrown.ts';
import type { Log } from '../supervision/run.ts';

/** Address of a listening socket that several processes accept from. */
export interface SharedAddress {
  readonly address: string;
  readonly port: number;
}

/** How often, and every how many milliseconds, the process is led to accept. */
const PROBES = 4;
const PROBE_INTERVAL = 25;

/**
 * Makes a workerd process that drains leave its TLS listeners to the others. workerd ends only the serving of connections
 * then: its TLS sockets (`TlsConnectionReceiver` of KJ, held by the connections that are open) go on accepting from
 * the shared listening socket, and nobody reads what they accepted. KJ gives up accepting for good at the first error
 * that is not the network's, so the process is kept from having new descriptors until it has met one: accept(2) then fails before
 * it takes a connection out of the queue. `prlimit` (util-linux) sets the limit; rejects when it cannot.
 */
async function keepFromAccepting(pid: number, listeners: readonly SharedAddress[]): Promise<void> {
  const limit = softLimit(pid);
  await setSoftLimit(pid, '0');
  try {
    for (let n = 0; n < PROBES; n++) {
      await Promise.all(listeners.map(wake));
      await sleep(PROBE_INTERVAL);
    }
  } finally {
    await setSoftLimit(pid, limit);
  }
}

/** As `keepFromAccepting`; says so when it could not be done. `isRunning` is asked before each step on the process. */
export async function stopAccepting(
  pid: number,
  listeners: readonly SharedAddress[],
  isRunning: () => boolean,
  log: Log,
): Promise<void> {
  try {
    await keepFromAccepting(pid, listeners);
  } catch (error) {
    // Ended meanwhile: it accepts no more.
    if (!isRunning()) return;
    log(
      'warn',
      `while workerd process ${pid} finishes its requests, some new TLS connections will get no answer: it cannot be kept from taking them (${messageOf(error)})`,
    );
  }
}

/** Connects and leaves, so that every process with the listening socket looks what is there. */
function wake({ address, port }: SharedAddress): Promise<void> {
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address;
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: PROBE_INTERVAL });
    socket.once('connect', () => socket.destroy());
    socket.once('timeout', () => socket.destroy());
    socket.once('error', () => {});
    socket.once('close', () => resolve());
  });
}

function softLimit(pid: number): string {
  const limit = /^Max open files\s+(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1];
  if (limit === undefined) throw new Error('its limit of open files cannot be read');
  return limit;
}

async function setSoftLimit(pid: number, limit: string): Promise<void> {
  await promisify(execFile)('prlimit', ['--pid', `${pid}`, `--nofile=${limit}:`]);
}
