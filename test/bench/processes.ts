import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { pin } from './cores.ts';
import type { Way } from './rival.ts';

/** What the load generator saw. Latencies in ms. */
export interface Load {
  readonly requests: number;
  /** With those whose answers came when the time was over; none over HTTP/2. */
  readonly answered?: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** The longest time in which no answer came. */
  readonly longestGap: number;
  readonly errors: number;
}

export interface LoadOptions {
  readonly connections: number;
  readonly seconds: number;
  readonly headers?: readonly string[];
  /** Sent as JSON by POST with every request; GET without one. */
  readonly body?: string;
  /** File of header lines, of which each request has the next. */
  readonly lines?: string | undefined;
  /** Plain when absent. */
  readonly way?: Way;
}

/** Keeps a port busy from the second core. */
export function load(port: number, path: string, options: LoadOptions): Promise<Load> {
  const { connections, seconds, headers = [], body, lines, way = 'plain' } = options;
  const common = [String(port), String(connections), String(seconds), path];
  const overHttp2 = way === 'http2' || way === 'grpc';
  const words = overHttp2 ? common : ['127.0.0.1', ...common, ...headers];
  const env = {
    ...process.env,
    ...(body !== undefined && { LOAD_BODY: body }),
    ...(lines !== undefined && { LOAD_LINES: lines }),
    ...(way === 'tls' && { LOAD_TLS: '1' }),
    ...(way === 'grpc' && { LOAD_GRPC: '1' }),
  };
  return new Promise((resolve, reject) => {
    const child = execFile(
      process.execPath,
      [file(overHttp2 ? 'load-http2.ts' : 'load.ts'), ...words],
      { env },
      (error, output) => (error ? reject(error) : resolve(JSON.parse(output))),
    );
    pin(child.pid, 1);
  });
}

/** Starts a file of this folder that prints the ports it listens on, pinned to a core. */
export async function listening(name: string, words: readonly string[], core: 0 | 1): Promise<Listening> {
  const child = spawn(process.execPath, [file(name), ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ports = await new Promise<number[]>((resolve, reject) => {
    child.stdout.once('data', (data) => resolve(String(data).split(' ').map(Number)));
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code}`)));
  });
  pin(child.pid, core);
  return { child, port: ports[0] ?? 0, ports };
}

interface Listening {
  readonly child: ChildProcess;
  readonly port: number;
  /** All, where it listens on several. */
  readonly ports: readonly number[];
}

export function rate(measured: Load | undefined): number {
  return measured ? measured.requests / measured.seconds : Number.NaN;
}

export function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function file(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
