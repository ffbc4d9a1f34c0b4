import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { ShapeError } from '../../shared/bundle/shape.ts';
import { SESSION_HEADER } from '../../shared/cluster/node-proof.ts';
import { LARGEST_BATCH, SENT_AT_HEADER, TELEMETRY_PATHS } from '../../shared/telemetry/messages.ts';
import { messageOf } from '../../shared/thrown.ts';
import { isUuid } from '../../shared/uuid.ts';
import { hasExpired, type Peer } from '../cluster/admission.ts';
import { answerJson, type ClusterLog } from '../cluster/mtls-server.ts';
import { PerMinute, type Quotas, TooMany } from '../cluster/quotas.ts';
import type { NodeKeys } from '../store/store.ts';
import type { AgedBatch, TelemetryHistory } from './history.ts';
import { parseMetrics } from './otlp-metrics.ts';
import { NotTheNode, TelemetrySessions } from './sessions.ts';

/** Of one data plane in a minute: a batch every five seconds is twelve, and after an outage there are more to tell. */
const BATCHES = 300;
/** Bytes of them, unpacked. */
const BYTES = 48 << 20;
/** Bodies of all data planes that are read at a time. */
const READING = 256;
/** Series of all of them that wait for the database. */
const MOST_WAITING = 500_000;
/** Series that are written in one transaction, more or less. */
const TOGETHER = 10_000;
/** Milliseconds in which batches of several data planes gather. */
const GATHER = 100;
/** Bytes of the body that begins a session. */
const LARGEST_PROOF = 8 << 10;
/** Seconds: what is older is of no interest to anybody. */
const OLDEST = 8 * 86_400;

const unpack = promisify(gunzip);

interface TelemetryDeskOptions {
  readonly history: Pick<TelemetryHistory, 'keep'>;
  /** The keys a data plane's id belongs to. Throws without a database. */
  readonly keysOf: (node: string) => Promise<NodeKeys | null>;
  readonly quotas: Quotas;
  readonly log: ClusterLog;
}

/** What this control plane has taken in since it was started. */
export interface TelemetryFigures {
  readonly kept: number;
  readonly refused: number;
  readonly failed: number;
}

interface Waiting {
  readonly aged: AgedBatch;
  readonly kept: () => void;
  readonly failed: (error: unknown) => void;
}

/** The database does not take it now. */
class NotNow extends Error {}

/**
 * Takes telemetry of data planes (`shared/telemetry/messages.ts`), and answers when it is in the database. What one says is
 * taken for no more than any may say, within bounds of its own, and is written with one connection, whoever else waits.
 */
export class TelemetryDesk {
  readonly #options: TelemetryDeskOptions;
  readonly #sessions: TelemetrySessions;
  readonly #batches = new PerMinute(BATCHES);
  readonly #bytes = new PerMinute(BYTES);
  /** Data planes one of whose batches is under way. */
  readonly #busy = new Set<string>();
  #waiting: Waiting[] = [];
  #waitingSeries = 0;
  #timer: NodeJS.Timeout | null = null;
  #writing = false;
  #complaint = '';
  #kept = 0;
  #refused = 0;
  #failed = 0;

  constructor(options: TelemetryDeskOptions) {
    this.#options = options;
    this.#sessions = new TelemetrySessions(options.keysOf);
  }

  get figures(): TelemetryFigures {
    return { kept: this.#kept, refused: this.#refused, failed: this.#failed };
  }

  /** Whether a path is one of those that are answered here. */
  isFor(pathname: string): boolean {
    return PATHS.has(pathname);
  }

  /** Whoever says from now on that it is that node has to show it again. */
  forget(node: string): void {
    this.#sessions.forget(node);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const { failed } of this.#waiting.splice(0)) failed(new NotNow('this control plane is stopping'));
  }

  /** Answers a request for one of its paths. Never throws. */
  async handle(request: IncomingMessage, response: ServerResponse, peer: Peer): Promise<void> {
    try {
      await this.#answer(request, response, peer);
    } catch (error) {
      this.#fail(error, response, peer);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse, peer: Peer): Promise<void> {
    const { quotas } = this.#options;
    quotas.request(peer);
    const { pathname, searchParams } = new URL(request.url ?? '/', 'https://control-plane');
    if (hasExpired(peer)) {
      answerJson(response, 403, { message: 'the client certificate has expired' }, { connection: 'close' });
      return;
    }
    const node = (searchParams.get('node') ?? '').toLowerCase();
    const isKnown = this.#sessions.isOf(node, String(request.headers[SESSION_HEADER] ?? ''), peer);
    if (!isKnown && quotas.isSpent(peer)) throw new TooMany('too much from here was refused, try again in a minute');
    if (request.method === 'GET' && pathname === TELEMETRY_PATHS.challenge) {
      answerJson(response, 200, { challenge: this.#sessions.challenge() }, { 'cache-control': 'no-store' });
    } else if (request.method === 'POST' && pathname === TELEMETRY_PATHS.session) {
      if (!isUuid(node)) throw new ShapeError('node: expected the UUID of a data plane');
      const body = await readBody(request, LARGEST_PROOF, quotas.open(peer));
      const session = await this.#sessions.begin(node, body.toString('utf8'), peer);
      answerJson(response, 200, { session }, { 'cache-control': 'no-store' });
    } else if (request.method === 'POST' && pathname === TELEMETRY_PATHS.metrics) {
      if (!isKnown) {
        quotas.refused(peer);
        answerJson(response, 401, { message: `no session of node '${node.slice(0, 64)}': begin one` });
        return;
      }
      await this.#take(node, request);
      response.writeHead(200, { 'content-type': 'application/x-protobuf', 'content-length': '0' }).end();
    } else answerJson(response, 405, { message: 'no such method' });
  }

  async #take(node: string, request: IncomingMessage): Promise<void> {
    if (!this.#batches.take(node)) throw new TooMany(`more than ${BATCHES} batches of one data plane in a minute`);
    if (this.#busy.has(node)) throw new TooMany('a batch of this data plane is under way');
    if (this.#busy.size >= READING || this.#waitingSeries >= MOST_WAITING) throw new NotNow('too many batches wait');
    this.#busy.add(node);
    try {
      const packed = await readBody(request, LARGEST_BATCH.packed);
      const body = await unpacked(packed, request.headers['content-encoding']);
      if (!this.#bytes.take(node, body.length))
        throw new TooMany(`more than ${BYTES} bytes of one data plane in a minute`);
      const batch = parseMetrics(body);
      if (batch.node !== node) throw new ShapeError(`the batch is of node ${batch.node}, but the request of ${node}`);
      const sentAt = Number(request.headers[SENT_AT_HEADER]);
      const age = (sentAt - batch.until) / 1000;
      if (!Number.isFinite(age)) throw new ShapeError(`${SENT_AT_HEADER}: expected milliseconds since 1970`);
      await this.#keep({ batch, age: Math.min(Math.max(age, 0), OLDEST) });
      this.#kept++;
    } finally {
      this.#busy.delete(node);
    }
  }

  /** Resolves once it is in the database. */
  #keep(aged: AgedBatch): Promise<void> {
    return new Promise((kept, failed) => {
      this.#waiting.push({ aged, kept, failed });
      this.#waitingSeries += aged.batch.series.length;
      this.#writeSoon();
    });
  }

  #writeSoon(): void {
    if (this.#writing || this.#timer !== null || this.#waiting.length === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#write();
    }, GATHER);
  }

  /** One after the other, so that it takes one connection of the pool. */
  async #write(): Promise<void> {
    this.#writing = true;
    let taken = 0;
    const some: Waiting[] = [];
    for (let next = this.#waiting[0]; next !== undefined && taken < TOGETHER; next = this.#waiting[0]) {
      some.push(next);
      taken += next.aged.batch.series.length;
      this.#waiting.shift();
    }
    try {
      await this.#options.history.keep(some.map(({ aged }) => aged));
      for (const { kept } of some) kept();
      if (this.#complaint !== '') this.#options.log('notice', 'telemetry is kept again');
      this.#complaint = '';
    } catch (error) {
      const reason = messageOf(error);
      if (this.#complaint === '') {
        this.#options.log('error', `telemetry cannot be kept, and waits at the data planes: ${reason}`);
      }
      this.#complaint = reason;
      for (const { failed } of some) failed(new NotNow('the database does not take it'));
    } finally {
      this.#waitingSeries -= taken;
      this.#writing = false;
      this.#writeSoon();
    }
  }

  #fail(error: unknown, response: ServerResponse, peer: Peer): void {
    const message = messageOf(error);
    const [status, headers] = answerFor(error);
    if (status < 500) this.#refused++;
    else this.#failed++;
    const { quotas, log } = this.#options;
    const told =
      error instanceof NotNow ? false : status === 429 ? quotas.exceeded(peer, message) : quotas.refused(peer);
    if (told) {
      log(
        'warn',
        `${status < 500 ? 'refused' : 'failed on'} telemetry of ${peer.ip}:${peer.port} (certificate '${peer.subject}'): ${message}`,
      );
    }
    if (response.headersSent) response.destroy();
    else answerJson(response, status, { message: status === 500 ? 'internal error' : message }, headers);
  }
}

const PATHS: ReadonlySet<string> = new Set(Object.values(TELEMETRY_PATHS));

function answerFor(error: unknown): [status: number, headers?: Record<string, string>] {
  if (error instanceof NotTheNode) return [403];
  if (error instanceof TooMany) return [429, { 'retry-after': '10' }];
  if (error instanceof NotNow) return [503, { 'retry-after': '5' }];
  return [error instanceof ShapeError ? 400 : 500];
}

/** `read` is called when it is over. Throws `ShapeError` for more than `most` bytes. */
async function readBody(request: IncomingMessage, most: number, read = (): void => undefined): Promise<Buffer> {
  try {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of request) {
      if (!Buffer.isBuffer(chunk)) continue;
      size += chunk.length;
      if (size > most) throw new ShapeError(`body: more than ${most} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    read();
  }
}

async function unpacked(body: Buffer, encoding: string | undefined): Promise<Buffer> {
  if (encoding === undefined || encoding === 'identity') return body;
  if (encoding !== 'gzip') throw new ShapeError('content-encoding: expected gzip, or none');
  try {
    return await unpack(body, { maxOutputLength: LARGEST_BATCH.unpacked });
  } catch (error) {
    throw new ShapeError(`body: no gzip of ${LARGEST_BATCH.unpacked} bytes at most (${messageOf(error)})`);
  }
}
