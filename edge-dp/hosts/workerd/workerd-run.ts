import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { endOf, type Log, Output, type Run, releaseTether, spawnTethered } from '../supervision/run.ts';

/** A socket of the workerd config, served on a descriptor this process holds. */
export interface BoundSocket {
  readonly name: string;
  readonly descriptor: number;
}

/** Starts one workerd process on `configPath`; it serves when it has taken all `sockets`. */
export function runWorkerd(configPath: string, sockets: readonly BoundSocket[], log: Log): Run {
  // 3 is the tether, 4 tells when workerd listens, the rest are the listening sockets in order.
  const child = spawnTethered(
    [
      workerdBinary(),
      'serve',
      configPath,
      '--control-fd=4',
      ...sockets.map(({ name }, place) => `--socket-fd=${name}=${place + 5}`),
    ],
    ['pipe', ...sockets.map(({ descriptor }) => descriptor)],
  );
  const output = new Output();
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) output.read(stream, (line) => passOn(line, log));
  }
  const ended = endOf(child, output);
  ended.then(() => releaseTether(child));
  const listening = new Promise<void>((resolve) => {
    const control = child.stdio[4];
    if (!(control instanceof Readable)) return;
    const awaited = new Set(sockets.map(({ name }) => name));
    createInterface({ input: control }).on('line', (line) => {
      const { event, socket }: { event?: unknown; socket?: unknown } = JSON.parse(line);
      if (event === 'listen' && typeof socket === 'string') awaited.delete(socket);
      if (awaited.size === 0) resolve();
    });
  });
  const ready = Promise.race([
    listening,
    ended.then((how) => {
      throw new Error(`workerd ended at its start: ${how}`);
    }),
  ]);
  ready.catch(() => {});
  return {
    pid: child.pid ?? -1,
    ready,
    ended,
    terminate: () => child.kill('SIGTERM'),
    kill: () => child.kill('SIGKILL'),
  };
}

/** One line of workerd's structured log: what the Worker says with `console`, and what the runtime itself reports. */
function passOn(line: string, log: Log): void {
  let entry: { level?: unknown; message?: unknown } = {};
  try {
    entry = Object(JSON.parse(line));
  } catch {
    // Not every line is structured: a crash, or an error in the config. The line itself is the message.
  }
  const level = entry.level === 'error' || entry.level === 'warn' ? entry.level : 'info';
  log(typeof entry.message === 'string' ? level : 'warn', typeof entry.message === 'string' ? entry.message : line);
}

/** The platform's workerd executable, as its npm package finds it. Throws when npm could not install one. */
export function workerdBinary(): string {
  const load = createRequire(import.meta.url);
  const path: unknown = Reflect.get(Object(load('workerd')), 'default');
  if (typeof path !== 'string') throw new Error('the npm package workerd does not say where its executable is');
  return path;
}
