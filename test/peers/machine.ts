import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { once } from '../once.ts';
import { until } from '../until.ts';
import { peerExecutable } from './peer.ts';

/**
 * A machine like this one that is nobody else's: what is written there, ports that are opened, names and processes are of it alone and are
 * gone with it. So what a page says is run as it stands there, with the ports, the paths and the names it has.
 */
export interface Machine {
  /** Runs a command of a shell to its end. */
  run(command: string, as?: Runs): Promise<Ended>;
  /** Starts one that goes on, and waits until it has said something. */
  start(command: string, said: RegExp, as?: Runs): Promise<Going>;
  /** Ends all that runs there. */
  stop(): Promise<void>;
}

export interface Runs {
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  /** With standard error, as it comes to a terminal. */
  readonly output: string;
}

export interface Going {
  said(): string;
  ended(): boolean;
  stop(): Promise<void>;
}

/** Milliseconds for one command on a busy machine. */
const PATIENCE = 240_000;

/**
 * `$1` is a folder for it: over it goes a file system in memory, which has this machine's root with all that is written there. The process
 * that has number 1 ends with its input, and all others with it.
 */
const MAKE = `
  mount -t tmpfs tmpfs "$1" && cd "$1" && mkdir upper work root || exit
  mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root || exit
  mount --rbind /dev root/dev && mount -t proc proc root/proc && mount -t tmpfs tmpfs root/run && ip link set lo up || exit
  printf '127.0.0.1 localhost\\n' > root/etc/hosts
  while [ $# -gt 1 ]; do
    printf '%s %s\\n' "$2" "$3" >> root/etc/hosts
    case $2 in 127.*) ;; *) ip address add "$2" dev lo || exit ;; esac
    shift 2
  done
  echo made
  while read -r line; do :; done
`;

/** `names` are hosts that this machine is to itself, with their addresses. */
export async function startMachine(names: Readonly<Record<string, string>>): Promise<Machine> {
  if (process.getuid?.() !== 0)
    throw new Error('these tests make file systems and networks: run them as root, on Linux');
  const [unshare, nsenter] = [peerExecutable('unshare'), peerExecutable('nsenter')];
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-machine-'));
  const hosts = Object.entries(names).flatMap(([name, address]) => [address, name]);
  const holder = spawn(
    unshare,
    ['--net', '--mount', '--pid', '--fork', '--kill-child', 'bash', '-c', MAKE, 'make', folder, ...hosts],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  const made = listen(holder);
  await until(() => made().includes('made') || holder.exitCode !== null, 'the machine to be made');
  if (holder.exitCode !== null) throw new Error(`there is no machine of its own: ${made()}`);

  const inside = ['net', 'mnt', 'pid_for_children'].map((name) => `/proc/${holder.pid}/ns/${name}`);
  const enter = (command: string, { folder: cwd = '/', environment = {}, user }: Runs): ChildProcess => {
    const [net, mount, pid] = inside;
    const who = user === undefined ? [] : [`--userspec=${user.uid}:${user.gid}`];
    const script = `cd '${cwd}' && echo $$ >&3 && exec 3>&- || exit\n${command}`;
    return spawn(
      nsenter,
      [
        ...[`--net=${net}`, `--mount=${mount}`, `--pid=${pid}`],
        // In a session of its own, as from a terminal.
        ...['setsid', 'chroot', ...who, join(folder, 'root'), 'sh', '-c', script],
      ],
      {
        env: { PATH: process.env.PATH, HOME: '/root', LANG: 'C.UTF-8', ...environment },
        stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      },
    );
  };
  const run: Machine['run'] = async (command, as = {}) => {
    const child = enter(command, as);
    let stdout = '';
    child.stdout?.on('data', (chunk) => (stdout += chunk));
    const output = listen(child);
    let late = false;
    const limit = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, PATIENCE);
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    clearTimeout(limit);
    if (late) throw new Error(`does not end: ${command}\n${output()}`);
    return { code, stdout, output: output() };
  };
  return {
    run,
    async start(command, said, as = {}) {
      const child = enter(command, as);
      let leader = '';
      const told = child.stdio[3];
      if (told && 'on' in told) told.on('data', (chunk) => (leader += chunk));
      const output = listen(child);
      const gone = () => child.exitCode !== null || child.signalCode !== null;
      const stop = async () => {
        if (gone()) return;
        const ended = once(child, 'exit');
        await run(`kill -s TERM -- -${leader.trim()}`);
        await ended;
      };
      await until(() => said.test(output()) || gone(), `'${command}' to say ${said}`, PATIENCE).catch(
        (error: Error) => {
          throw new Error(`${error.message}\n${output()}`);
        },
      );
      if (!said.test(output())) throw new Error(`'${command}' ended early:\n${output()}`);
      return { said: output, ended: gone, stop };
    },
    async stop() {
      if (holder.exitCode === null) {
        const ended = once(holder, 'exit');
        holder.stdin?.end();
        await ended;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function listen({ stdout, stderr }: ChildProcess): () => string {
  let output = '';
  for (const stream of [stdout, stderr]) stream?.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  return () => output;
}
