import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { get, request as send } from 'node:http';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { RESTARTS_PATH } from '../../status/restarts.ts';
import { endOf, type Log, Output, type Run, releaseTether, spawnTethered } from '../supervision/run.ts';
import type { RuntimeLog } from '../supervision/runtime-log.ts';
import { WARM_UP_SOCKET } from './config.ts';
import { type SharedAddress, stopAccepting } from './stop-accepting.ts';

/** Milliseconds a process may take for its start sequence before it has to serve without. */
const WARM_UP_PATIENCE = 10_000;

/** A socket of the workerd config, served on a descriptor this process holds. */
export interface BoundSocket {
  readonly name: string;
  readonly descriptor: number;
  /** Its address when it is a listener with TLS; null for others. */
  readonly tls: SharedAddress | null;
}

/**
 * Starts one workerd process on `configPath`. It is ready when it has taken all `sockets` and has gone through its start
 * sequence, which a request on a socket of its own at `warmUpPath` sets off: no client waits for it, and the link to
 * the control plane does not wait for a client. What it writes goes to `runtimeLog`.
 */
export function runWorkerd(
  configPath: string,
  sockets: readonly BoundSocket[],
  warmUpPath: string,
  runtimeLog: RuntimeLog,
  log: Log,
): Run {
  // 3 is the tether, 4 tells when workerd listens, the rest are the listening sockets in order.
  const child = spawnTethered(
    [
      workerdBinary(),
      'serve',
      configPath,
      '--control-fd=4',
      ...sockets.map(({ name }, place) => `--socket-fd=${name}=${place + 5}`),
      `--socket-addr=${WARM_UP_SOCKET}=unix:${warmUpPath}`,
    ],
    ['pipe', ...sockets.map(({ descriptor }) => descriptor)],
    workerdEnvironment(process.env),
  );
  const output = new Output();
  for (const stream of [child.stdout, child.stderr]) output.read(stream, (line) => runtimeLog.line(line));
  const ended = endOf(child, output);
  ended.then(() => {
    releaseTether(child);
    removeQuietly(warmUpPath);
  });
  const names = [...sockets.map(({ name }) => name), WARM_UP_SOCKET];
  const ready = Promise.race([
    listening(child, names).then(() => warmUp(warmUpPath, log)),
    ended.then((how) => {
      throw new Error(`workerd ended at its start: ${how}`);
    }),
  ]);
  ready.catch(() => {});
  return {
    pid: child.pid ?? null,
    ready,
    ended,
    terminate: () => void drain(child, sockets, warmUpPath, log),
    kill: () => child.kill('SIGKILL'),
    tellRestarts: (total) => tellRestarts(warmUpPath, total),
  };
}

/** What a disk that cannot be written to keeps, the next start removes. */
function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // As said.
  }
}

/** Resolves when workerd has reported all of the sockets on its control descriptor. */
function listening(child: ChildProcess, sockets: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const control = child.stdio?.[4];
    if (!(control instanceof Readable)) return;
    const awaited = new Set(sockets);
    createInterface({ input: control }).on('line', (line) => {
      const { event, socket }: { event?: unknown; socket?: unknown } = JSON.parse(line);
      if (event === 'listen' && typeof socket === 'string') awaited.delete(socket);
      if (awaited.size === 0) resolve();
    });
  });
}

/** Resolves with the first answer, whatever it is: a process without config serves too, as one without config does. */
async function warmUp(path: string, log: Log): Promise<void> {
  await new Promise<void>((resolve) => {
    const request = get({ socketPath: path, path: '/status', agent: false, timeout: WARM_UP_PATIENCE }, (response) => {
      response.resume().once('close', resolve);
    });
    request.once('timeout', () => request.destroy(new Error('no answer')));
    request.once('error', (error) => {
      log('warn', `a new workerd process serves before its start sequence is done: ${error.message}`);
      resolve();
    });
  });
}

/** A process that ends meanwhile need not know: its successor is told. */
function tellRestarts(socketPath: string, total: number): void {
  const call = send({ socketPath, path: RESTARTS_PATH, method: 'PUT', agent: false }, (response) => {
    response.on('error', () => undefined).resume();
  });
  call.on('error', () => undefined);
  call.end(String(total));
}

/** Milliseconds a process may take to hear that it is to end, and to begin with it. */
const FINISH_PATIENCE = 500;

/** Asks a process to end: what its plugins hold goes out, requests in flight are finished, new ones are left to others. */
async function drain(
  child: ChildProcess,
  sockets: readonly BoundSocket[],
  warmUpPath: string,
  log: Log,
): Promise<void> {
  const { pid } = child;
  const listeners = sockets.flatMap(({ tls }) => tls ?? []);
  // workerd closes idle connections first of all when it drains, which tells when it does.
  const idle = connect(warmUpPath);
  idle.on('error', () => {});
  const draining = new Promise((resolve) => idle.once('close', resolve));
  await finish(warmUpPath);
  child.kill('SIGTERM');
  if (listeners.length === 0 || pid === undefined) {
    idle.destroy();
    return;
  }
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const late = setTimeout(() => idle.destroy(), FINISH_PATIENCE);
  await draining;
  clearTimeout(late);
  if (isRunning()) await stopAccepting(pid, listeners, isRunning, log);
}

/**
 * Tells a process that it is about to end, so that its plugins send what they hold. Resolves when it has heard; the answer
 * goes on until all of it is out, and workerd, asked to end, waits for that as for other requests in flight.
 */
async function finish(path: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const call = send(
      { socketPath: path, path: '/status/ready', method: 'POST', agent: false, headers },
      (response) => {
        response.on('error', () => undefined).resume();
        resolve();
      },
    );
    const late = setTimeout(resolve, FINISH_PATIENCE);
    late.unref();
    // A process that serves no more, or not yet, has nothing to send.
    call.on('error', () => resolve());
    call.end('status=draining&wait=true');
  });
}

/** The platform's workerd executable, as its npm package finds it. Throws when npm could not install one. */
export function workerdBinary(): string {
  const load = createRequire(import.meta.url);
  const path: unknown = Reflect.get(Object(load('workerd')), 'default');
  if (typeof path !== 'string') throw new Error('the npm package workerd does not say where its executable is');
  return path;
}

/**
 * The environment workerd runs in: its allocator (TCMalloc) has a cache for each core where the C library leaves it the kernel's
 * restartable sequences, which glibc takes for itself from 2.35 on unless it is told not to. Without them its caches are by thread and
 * slower, of which a request, which makes and frees hundreds of small objects, takes 3 % more processor time.
 */
export function workerdEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { GLIBC_TUNABLES: own = '' } = environment;
  const tunables = own.split(':').filter((tunable) => tunable !== '');
  if (tunables.some((tunable) => tunable.startsWith(RESTARTABLE_SEQUENCES))) return environment;
  return { ...environment, GLIBC_TUNABLES: [...tunables, `${RESTARTABLE_SEQUENCES}0`].join(':') };
}

const RESTARTABLE_SEQUENCES = 'glibc.pthread.rseq=';
