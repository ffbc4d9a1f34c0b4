import { ShapeError } from '../../shared/bundle/shape.ts';
import { ATTRIBUTES, METRIC_NAMES, SUBJECT_ATTRIBUTES } from '../../shared/telemetry/messages.ts';
import {
  BUCKETS,
  DIMENSIONS,
  type Dimension,
  LATENCY_BOUNDS,
  type Latencies,
  MOST_SERIES,
  OTHER,
  type Series,
  type SeriesKey,
  SOURCES,
  type TelemetryBatch,
} from '../../shared/telemetry/series.ts';
import { isUuid } from '../../shared/uuid.ts';
import { messagesIn, protobufFields } from './protobuf-reader.ts';

/** Requests of one bucket in one batch, at most: a data plane that says more says nothing true. */
const MOST_REQUESTS = 100_000_000;
/** Milliseconds of all of them together. */
const MOST_MILLISECONDS = 1e15;
/** Series of a batch: in each dimension those that are told apart, and `OTHER` by status and source. */
const MOST = DIMENSIONS.reduce((sum, dimension) => sum + MOST_SERIES[dimension] + 5 * SOURCES.length, 0);
/** Digits of a serial. */
const SERIAL = /^\d{1,15}$/;

/** Reads an `ExportMetricsServiceRequest` of a data plane. Throws `ShapeError` for what no data plane sends. */
export function parseMetrics(body: Buffer): TelemetryBatch {
  const [resourceMetrics, another] = [...messagesIn(body, 1)];
  if (resourceMetrics === undefined || another !== undefined) {
    throw new ShapeError('expected the metrics of one resource');
  }
  const resource = attributesOf([...messagesIn(resourceMetrics, 1)].flatMap((one) => [...messagesIn(one, 1)]));
  const [node, stream, number] = [ATTRIBUTES.node, ATTRIBUTES.stream, ATTRIBUTES.number].map((name) => {
    return resource.get(name) ?? '';
  });
  if (!isUuid(node) || !isUuid(stream) || number === undefined || !SERIAL.test(number)) {
    throw new ShapeError(
      `the resource needs ${ATTRIBUTES.node} and ${ATTRIBUTES.stream}, UUIDs, and ${ATTRIBUTES.number}, a number`,
    );
  }
  const read = new Reading();
  for (const scope of messagesIn(resourceMetrics, 2)) {
    for (const metric of messagesIn(scope, 2)) read.metric(metric);
  }
  return {
    node: node.toLowerCase(),
    stream: stream.toLowerCase(),
    number: Number(number),
    from: read.from,
    until: read.until,
    series: read.all(),
    bounded: read.bounded,
    dropped: read.dropped,
  };
}

interface MutableSeries {
  readonly key: SeriesKey;
  request: Latencies;
  upstream: Latencies;
}

const NONE: Latencies = { buckets: new Array<number>(BUCKETS).fill(0), sum: 0 };

class Reading {
  from = 0;
  until = 0;
  bounded = 0;
  dropped = 0;
  readonly #series = new Map<string, MutableSeries>();

  /** Metrics of other names are passed over: those of a later version. */
  metric(metric: Buffer): void {
    const name = [...messagesIn(metric, 1)][0]?.toString('utf8');
    if (name === METRIC_NAMES.request || name === METRIC_NAMES.upstream) {
      for (const histogram of messagesIn(metric, 9)) {
        for (const point of messagesIn(histogram, 1)) this.#point(point, name === METRIC_NAMES.request);
      }
    } else if (name === METRIC_NAMES.bounded || name === METRIC_NAMES.dropped) {
      for (const sum of messagesIn(metric, 7)) {
        for (const point of messagesIn(sum, 1)) {
          for (const each of protobufFields(point)) {
            if (each.field !== 6 || each.kind !== 'eight') continue;
            const value = wholeNumber(each.bytes.readBigUInt64LE());
            if (name === METRIC_NAMES.bounded) this.bounded += value;
            else this.dropped += value;
          }
        }
      }
    }
  }

  #point(point: Buffer, isRequest: boolean): void {
    const attributes: Buffer[] = [];
    let buckets: readonly number[] | null = null;
    let sum = 0;
    for (const each of protobufFields(point)) {
      if (each.kind === 'number') continue;
      const { field, bytes } = each;
      if (field === 2) this.from = milliseconds(bytes);
      else if (field === 3) this.until = milliseconds(bytes);
      else if (field === 5) sum = bytes.readDoubleLE();
      else if (field === 6) buckets = countsIn(bytes);
      else if (field === 7) requireBounds(bytes);
      else if (field === 9) attributes.push(bytes);
    }
    if (buckets === null || !(sum >= 0 && sum <= MOST_MILLISECONDS)) {
      throw new ShapeError(`a histogram needs ${BUCKETS} counts, and a sum of milliseconds`);
    }
    const key = keyOf(attributesOf(attributes));
    const text = JSON.stringify(key);
    const series = this.#series.get(text) ?? { key, request: NONE, upstream: NONE };
    series[isRequest ? 'request' : 'upstream'] = { buckets, sum: Math.round(sum) };
    this.#series.set(text, series);
    if (this.#series.size > MOST) throw new ShapeError(`more than ${MOST} series`);
  }

  all(): readonly Series[] {
    return [...this.#series.values()].map(({ key, request, upstream }) => ({ ...key, request, upstream }));
  }
}

function keyOf(attributes: ReadonlyMap<string, string>): SeriesKey {
  const dimension = DIMENSIONS.find((one) => one === attributes.get(ATTRIBUTES.dimension));
  const source = SOURCES.find((one) => one === attributes.get(ATTRIBUTES.source));
  const [, status] = /^([1-5])xx$/.exec(attributes.get(ATTRIBUTES.code) ?? '') ?? [];
  if (dimension === undefined || source === undefined || status === undefined) {
    throw new ShapeError(
      `a histogram needs ${ATTRIBUTES.dimension} (${DIMENSIONS.join(', ')}), ${ATTRIBUTES.source} (${SOURCES.join(', ')}) and ${ATTRIBUTES.code} (1xx to 5xx)`,
    );
  }
  const subject = attributes.get(SUBJECT_ATTRIBUTES[dimension]) ?? '';
  const service = attributes.get(ATTRIBUTES.service) ?? '';
  if (!isSubject(dimension, subject) || !(service === '' || isUuid(service))) {
    throw new ShapeError(`${dimension}: expected an id, and that of a service`);
  }
  return { dimension, subject, service: dimension === 'route' ? service : '', status: Number(status), source };
}

function isSubject(dimension: Dimension, subject: string): boolean {
  if (subject === '' || subject === OTHER) return true;
  return dimension === 'serial' ? SERIAL.test(subject) : isUuid(subject);
}

/** Of texts; attributes of other types are passed over. */
function attributesOf(messages: Iterable<Buffer>): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  for (const message of messages) {
    const [key] = messagesIn(message, 1);
    const [value] = messagesIn(message, 2);
    if (key === undefined || value === undefined) continue;
    const [text] = messagesIn(value, 1);
    if (text !== undefined) attributes.set(key.toString('utf8'), text.toString('utf8'));
  }
  return attributes;
}

function countsIn(bytes: Buffer): readonly number[] {
  if (bytes.length !== BUCKETS * 8) throw new ShapeError(`bucket_counts: expected ${BUCKETS} of them`);
  return Array.from({ length: BUCKETS }, (_, place) => wholeNumber(bytes.readBigUInt64LE(place * 8)));
}

function requireBounds(bytes: Buffer): void {
  const same =
    bytes.length === LATENCY_BOUNDS.length * 8 &&
    LATENCY_BOUNDS.every((bound, place) => bytes.readDoubleLE(place * 8) === bound);
  if (!same) throw new ShapeError('explicit_bounds: expected those of this version');
}

function wholeNumber(value: bigint): number {
  if (value > BigInt(MOST_REQUESTS)) throw new ShapeError(`more than ${MOST_REQUESTS} requests in one count`);
  return Number(value);
}

function milliseconds(bytes: Buffer): number {
  return Number(bytes.readBigUInt64LE() / 1_000_000n);
}
