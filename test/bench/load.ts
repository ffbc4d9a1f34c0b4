/**
 * The load generator, a process of its own: `node load.ts HOST PORT CONNECTIONS SECONDS PATH [HEADER: VALUE]…` keeps
 * every connection busy with one request at a time (POST where the environment has a `LOAD_BODY`; over TLS where it has `LOAD_TLS`; with one more header line of the file
 * `LOAD_LINES` each, in turn) and prints `{requests, answered, seconds, p50, p99,
 * p999, longestGap, errors}` (in ms; the gap is the longest time in which no answer came on any connection; `answered` has also those requests whose answers came
 * after the time was up).
 */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

const [host = '127.0.0.1', port = '0', connections = '50', seconds = '5', path = '/', ...headers] =
  process.argv.slice(2);

const body = process.env.LOAD_BODY;
const overTls = process.env.LOAD_TLS !== undefined;
const lines = process.env.LOAD_LINES === undefined ? [] : readFileSync(process.env.LOAD_LINES, 'utf8').split('\n');
let line = 0;

const requestWith = (...more: readonly string[]): Buffer =>
  Buffer.from(
    [
      `${body === undefined ? 'GET' : 'POST'} ${path} HTTP/1.1`,
      `Host: ${host}:${port}`,
      'Accept: */*',
      ...headers,
      ...more,
      ...(body === undefined ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]),
      '',
      body ?? '',
    ].join('\r\n'),
  );
const request = requestWith();
const latencies: number[] = [];
let errors = 0;
let running = true;
let longestGap = 0;
let lastAnswer = 0;

/** Bytes that are missing of the response that `buffer` begins; infinite while nobody can tell. Nothing comes behind it. */
function missingOf(buffer: Buffer): number {
  const head = buffer.indexOf('\r\n\r\n');
  if (head < 0) return Number.POSITIVE_INFINITY;
  const [, length] = /\r\ncontent-length: *(\d+)/i.exec(buffer.toString('latin1', 0, head + 2)) ?? [];
  if (length !== undefined) return head + 4 + Number(length) - buffer.length;
  return buffer.indexOf('0\r\n\r\n', head + 4, 'latin1') < 0 ? Number.POSITIVE_INFINITY : 0;
}

function open(): Socket {
  let buffer: Buffer = Buffer.alloc(0);
  let missing = Number.POSITIVE_INFINITY;
  let sent = 0;
  const plain = connect({ host, port: Number(port), noDelay: true });
  // Whose certificate it is, is not what is measured.
  const socket = overTls ? connectTls({ socket: plain, rejectUnauthorized: false }) : plain;
  const send = () => {
    sent = performance.now();
    socket.write(lines.length === 0 ? request : requestWith(lines[line++ % lines.length] ?? ''));
  };
  socket.on(overTls ? 'secureConnect' : 'connect', send);
  socket.on('data', (chunk) => {
    if (missing === Number.POSITIVE_INFINITY) {
      buffer = buffer.length === 0 ? chunk : Buffer.concat([buffer, chunk]);
      missing = missingOf(buffer);
    } else missing -= chunk.length;
    if (missing > 0) return;
    if (buffer[9] !== 0x32) errors++; // anything but 2xx: "HTTP/1.1 2.."
    buffer = Buffer.alloc(0);
    missing = Number.POSITIVE_INFINITY;
    const now = performance.now();
    latencies.push(now - sent);
    if (lastAnswer > 0) longestGap = Math.max(longestGap, now - lastAnswer);
    lastAnswer = now;
    if (running) send();
    else socket.end();
  });
  socket.on('error', () => {
    errors++;
  });
  socket.on('close', () => {
    if (running) sockets.add(open());
    sockets.delete(socket);
  });
  return socket;
}

const sockets = new Set<Socket>();
const began = performance.now();
for (let i = 0; i < Number(connections); i++) sockets.add(open());
/** Milliseconds in which what is under way in the end may be answered. */
const LAST_ANSWERS = 60_000;

setTimeout(() => {
  running = false;
  const ended = performance.now();
  const elapsed = (ended - began) / 1000;
  longestGap = Math.max(longestGap, ended - (lastAnswer || began));
  const inTime = latencies.toSorted((a, b) => a - b);
  const at = (share: number) => inTime[Math.min(inTime.length - 1, Math.floor(inTime.length * share))] ?? 0;
  const seen = {
    ...{ requests: inTime.length, seconds: elapsed, p50: at(0.5), p99: at(0.99), p999: at(0.999) },
    ...{ longestGap, errors },
  };
  const watch = setInterval(() => {
    if (sockets.size > 0 && performance.now() - ended < LAST_ANSWERS) return;
    clearInterval(watch);
    process.stdout.write(`${JSON.stringify({ ...seen, answered: latencies.length })}\n`);
    for (const socket of sockets) socket.destroy();
    process.exit(0);
  }, 10);
}, Number(seconds) * 1000);
