/**
 * The load generator for HTTP/2 in clear, a process of its own: `node load-http2.ts PORT CONNECTIONS SECONDS PATH` keeps one request
 * at a time going on every connection (a unary call of gRPC where the environment has `LOAD_GRPC`), and prints what `load.ts` does.
 */
import { type ClientHttp2Session, connect } from 'node:http2';

const [port = '0', connections = '50', seconds = '5', path = '/'] = process.argv.slice(2);
const grpc = process.env.LOAD_GRPC !== undefined;
/** A message of five bytes behind its prefix. */
const MESSAGE = Buffer.from('\0\0\0\0\x05hello');
const CALL = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
const latencies: number[] = [];
let errors = 0;
let running = true;
let longestGap = 0;
let lastAnswer = 0;

function ask(session: ClientHttp2Session): void {
  const sent = performance.now();
  const stream = grpc ? session.request(CALL).end(MESSAGE) : session.request({ ':path': path });
  let good = false;
  stream.on('response', (headers) => {
    good = !grpc && headers[':status'] === 200;
  });
  stream.on('trailers', (trailers) => {
    good = trailers['grpc-status'] === '0';
  });
  stream.on('error', () => undefined);
  stream.resume().on('close', () => {
    if (!good) errors += 1;
    const now = performance.now();
    latencies.push(now - sent);
    if (lastAnswer > 0) longestGap = Math.max(longestGap, now - lastAnswer);
    lastAnswer = now;
    if (running && !session.destroyed) ask(session);
  });
}

for (let at = 0; at < Number(connections); at++) {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {
    errors += 1;
  });
  session.once('connect', () => ask(session));
}
const began = performance.now();
setTimeout(() => {
  running = false;
  const elapsed = (performance.now() - began) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  process.stdout.write(
    `${JSON.stringify({ requests: latencies.length, seconds: elapsed, p50: at(0.5), p99: at(0.99), p999: at(0.999), longestGap, errors })}\n`,
  );
  process.exit(0);
}, Number(seconds) * 1000);
