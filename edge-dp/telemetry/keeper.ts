import type { Row } from '../../shared/record.ts';
import { TELEMETRY_INTERVAL } from '../../shared/telemetry/messages.ts';
import {
  BUCKETS,
  DIMENSIONS,
  MOST_SERIES,
  OTHER,
  type Series,
  type TelemetryBatch,
} from '../../shared/telemetry/series.ts';
import { messageOf } from '../../shared/thrown.ts';
import { parseSamples } from '../durable/state-messages.ts';
import { addTo } from '../durable/sums.ts';
import { encodeMetrics } from './otlp-metrics.ts';
import type { TelemetrySender } from './sender.ts';
import { readSeries, SERIES_NUMBERS, seriesText } from './series-text.ts';

/** Bytes of batches that wait for a control plane; beyond that the oldest go. */
const MOST_WAITING = 4 << 20;
/** Milliseconds until it is tried again where nobody took it, at first and at most. */
const PAUSE = 2_000;
const LONGEST_PAUSE = 30_000;

/** A batch on its way. */
interface Waiting {
  readonly number: number;
  /** In it. */
  readonly requests: number;
  bytes: Uint8Array<ArrayBuffer>;
  isPacked: boolean;
  /** Resolves once it is. */
  packed: Promise<void>;
}

interface KeeperOptions {
  readonly node: string;
  readonly sender: Pick<TelemetrySender, 'send'>;
  /** Asks for `alarm` at a time: milliseconds since the epoch. */
  readonly wakeAt: (time: number) => void;
  readonly later: (work: Promise<unknown>) => void;
  readonly log: (level: 'warn' | 'notice', message: string) => void;
}

/** What it is about, for those who ask. */
export interface TelemetryStanding {
  /** Batches that nobody has taken yet, and their bytes. */
  readonly waiting: number;
  readonly bytes: number;
  /** Requests that control planes were told of, that were lost, and that were counted together for want of room, since the start. */
  readonly told: number;
  readonly dropped: number;
  readonly bounded: number;
  /** Requests of the node since the start, as `Samples` are: counted by class of status and who answered, and how long each of these took. */
  readonly served: Readonly<Record<'request' | 'upstream', readonly (readonly [labels: string, numbers: number[]])[]>>;
}

/**
 * What all isolates of a node have counted for control planes: in memory, gathered for some seconds, and kept within bounds until
 * somebody takes it, the oldest dropped first.
 */
export class TelemetryKeeper {
  readonly #options: KeeperOptions;
  readonly #stream = crypto.randomUUID();
  #open = newSums();
  #openedAt = 0;
  #openBounded = 0;
  #number = 0;
  #untold = 0;
  readonly #waiting: Waiting[] = [];
  #due: number | null = null;
  #sending = false;
  /** It may have been taken already. */
  #onItsWay: Waiting | null = null;
  #failures = 0;
  #complaint = '';
  #told = 0;
  #dropped = 0;
  #bounded = 0;
  /** By class of status and who answered. */
  readonly #served = new Map<string, number[]>();

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** There was something to tell since the object came to life. */
  get isHere(): boolean {
    return this.#openedAt > 0;
  }

  /** Answers what isolates add (`{does: 'add', samples}`), and what is asked of it (`{does: 'show'}`). Throws a `TypeError` for anything else. */
  answer(question: Readonly<Row>, now: number): TelemetryStanding | null {
    if (question.does === 'show') return this.#standing();
    if (question.does !== 'add') throw new TypeError('no question about telemetry');
    if (this.#openedAt === 0) this.#openedAt = now;
    // While batches are being sent, which may take its time.
    if (Math.abs(now - this.#openedAt) >= TELEMETRY_INTERVAL) this.#close(now);
    const samples = parseSamples(question.samples);
    for (const dimension of DIMENSIONS) {
      for (const [text, numbers] of samples[dimension] ?? []) this.#add(dimension, text, numbers);
    }
    if (this.#due === null) this.#wakeAt(now + TELEMETRY_INTERVAL);
    return null;
  }

  /** Closes what was gathered, and sends what waits. Never throws. */
  async alarm(now: number): Promise<void> {
    this.#due = null;
    this.#close(now);
    if (this.#sending) return;
    this.#sending = true;
    try {
      await this.#sendAll();
    } finally {
      this.#sending = false;
    }
    const after = Date.now();
    if (this.#waiting.length > 0)
      this.#wakeAt(after + Math.min(LONGEST_PAUSE, PAUSE * 2 ** Math.min(this.#failures, 5)));
    else if (this.#isOpen && this.#due === null) this.#wakeAt(after + TELEMETRY_INTERVAL);
  }

  get #isOpen(): boolean {
    return DIMENSIONS.some((dimension) => this.#open[dimension].size > 0);
  }

  #wakeAt(time: number): void {
    this.#due = time;
    this.#options.wakeAt(time);
  }

  #add(dimension: keyof typeof MOST_SERIES, text: string, numbers: readonly number[]): void {
    const sums = this.#open[dimension];
    let known = sums.get(text);
    if (known === undefined) {
      const isFull = sums.size >= MOST_SERIES[dimension];
      if (isFull) this.#noteBounded(dimension, numbers);
      const key = isFull ? others(dimension, text) : text;
      known = sums.get(key) ?? new Array<number>(SERIES_NUMBERS).fill(0);
      sums.set(key, known);
    }
    addTo(known, numbers);
    // Each request is in this one once.
    if (dimension === 'serial') this.#addServed(text, numbers);
  }

  #addServed(text: string, numbers: readonly number[]): void {
    const { status, source } = readSeries('serial', text, []);
    const labels = `code="${status}xx",source="${source}"`;
    const known = this.#served.get(labels);
    if (known === undefined) this.#served.set(labels, [...numbers]);
    else addTo(known, numbers);
  }

  #noteBounded(dimension: keyof typeof MOST_SERIES, numbers: readonly number[]): void {
    if (this.#bounded === 0) {
      this.#options.log(
        'warn',
        `telemetry: more than ${MOST_SERIES[dimension]} counts by ${dimension} within ${TELEMETRY_INTERVAL / 1000} s: the rest of them are told together, as '${OTHER}' (holdfast_telemetry_bounded_total says how many requests)`,
      );
    }
    const requests = requestsIn(numbers);
    this.#bounded += requests;
    this.#openBounded += requests;
  }

  #close(now: number): void {
    if (!this.#isOpen) {
      this.#openedAt = this.#openedAt === 0 ? 0 : now;
      return;
    }
    const series: Series[] = [];
    let requests = 0;
    for (const dimension of DIMENSIONS) {
      for (const [text, numbers] of this.#open[dimension]) {
        series.push(readSeries(dimension, text, numbers));
        if (dimension === 'route') requests += requestsIn(numbers);
      }
    }
    const batch: TelemetryBatch = {
      node: this.#options.node,
      stream: this.#stream,
      number: ++this.#number,
      from: Math.min(this.#openedAt, now),
      until: now,
      series,
      bounded: this.#openBounded,
      dropped: this.#untold,
    };
    this.#open = newSums();
    this.#openedAt = now;
    this.#openBounded = 0;
    this.#untold = 0;
    const waiting: Waiting = {
      number: batch.number,
      requests,
      bytes: encodeMetrics(batch),
      isPacked: false,
      packed: Promise.resolve(),
    };
    waiting.packed = gzip(waiting.bytes).then((bytes) => {
      Object.assign(waiting, { bytes, isPacked: true });
      this.#makeRoom();
    });
    this.#options.later(waiting.packed);
    this.#waiting.push(waiting);
    this.#makeRoom();
  }

  /**
   * The newest is several times as large until it is packed, which is no reason to drop others; two at once are. The one that is being sent
   * stays: it would be told as lost, and counted all the same.
   */
  #makeRoom(): void {
    const newest = this.#waiting.at(-1);
    let bytes = this.#bytes - (newest?.isPacked === false ? newest.bytes.length : 0);
    const first = this.#waiting[0] === this.#onItsWay ? 1 : 0;
    while (bytes > MOST_WAITING && this.#waiting.length > first + 1) {
      const [oldest] = this.#waiting.splice(first, 1);
      if (oldest === undefined) return;
      bytes -= oldest.bytes.length;
      this.#lose(oldest.requests);
    }
  }

  #lose(requests: number): void {
    this.#dropped += requests;
    this.#untold += requests;
  }

  get #bytes(): number {
    return this.#waiting.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  async #sendAll(): Promise<void> {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      try {
        this.#onItsWay = first;
        await first.packed;
        const refusal = await this.#options.sender.send(first.bytes);
        this.#waiting.shift();
        if (refusal === null) this.#told += first.requests;
        else {
          this.#lose(first.requests);
          this.#options.log('warn', `telemetry: a control plane does not take what this node counted: ${refusal}`);
        }
        this.#failures = 0;
        if (this.#complaint !== '') this.#options.log('notice', 'telemetry: control planes take it again');
        this.#complaint = '';
      } catch (error) {
        this.#failures++;
        const reason = messageOf(error);
        if (this.#complaint === '') {
          this.#options.log(
            'warn',
            `telemetry: no control plane takes it: ${reason}; up to ${MOST_WAITING >> 20} MB of it wait, the oldest go first`,
          );
        }
        this.#complaint = reason;
        return;
      } finally {
        this.#onItsWay = null;
      }
    }
  }

  #standing(): TelemetryStanding {
    return {
      waiting: this.#waiting.length,
      bytes: this.#bytes,
      told: this.#told,
      dropped: this.#dropped,
      bounded: this.#bounded,
      served: {
        request: [...this.#served].map(([labels, numbers]) => [labels, numbers.slice(0, BUCKETS + 1)]),
        upstream: [...this.#served].map(([labels, numbers]) => [labels, numbers.slice(BUCKETS + 1)]),
      },
    };
  }
}

type Sums = Readonly<Record<keyof typeof MOST_SERIES, Map<string, number[]>>>;

function newSums(): Sums {
  return { route: new Map(), serial: new Map(), consumer: new Map() };
}

/** The series that takes in those that have no room. */
function others(dimension: keyof typeof MOST_SERIES, text: string): string {
  const { status, source } = readSeries(dimension, text, []);
  return seriesText({ subject: OTHER, service: '', status, source });
}

function requestsIn(numbers: readonly number[]): number {
  return numbers.slice(0, BUCKETS).reduce((sum, one) => sum + one, 0);
}

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}
