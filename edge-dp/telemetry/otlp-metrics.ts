import { ATTRIBUTES, METRIC_NAMES, SUBJECT_ATTRIBUTES } from '../../shared/telemetry/messages.ts';
import { LATENCY_BOUNDS, type Latencies, type Series, type TelemetryBatch } from '../../shared/telemetry/series.ts';
import { ProtobufWriter } from '../plugins/tracing/protobuf-writer.ts';

/** AGGREGATION_TEMPORALITY_DELTA. */
const DELTA = 1;
/** Bytes of a `double` and of a `fixed64`. */
const EIGHT = 8;

/** `ExportMetricsServiceRequest` of OTLP 1.x: all counts are of this interval alone. */
export function encodeMetrics(batch: TelemetryBatch): Uint8Array<ArrayBuffer> {
  const attributes = new Attributes();
  const request = new ProtobufWriter();
  request.message(1, (one) => {
    one.message(1, (resource) => {
      resource.raw(1, attributes.of(ATTRIBUTES.name, 'holdfast'));
      resource.raw(1, attributes.of(ATTRIBUTES.node, batch.node));
      resource.raw(1, attributes.of(ATTRIBUTES.stream, batch.stream));
      resource.raw(1, attributes.of(ATTRIBUTES.number, String(batch.number)));
    });
    one.message(2, (scope) => {
      scope.message(1, (message) => message.text(1, 'holdfast'));
      histogram(scope, METRIC_NAMES.request, { batch, attributes, latenciesOf: ({ request: latencies }) => latencies });
      histogram(scope, METRIC_NAMES.upstream, { batch, attributes, latenciesOf: ({ upstream }) => upstream });
      if (batch.bounded > 0) sum(scope, METRIC_NAMES.bounded, batch, batch.bounded);
      if (batch.dropped > 0) sum(scope, METRIC_NAMES.dropped, batch, batch.dropped);
    });
  });
  return request.bytes;
}

/** `KeyValue` messages, each made once: there are thousands of points, of few attributes. */
class Attributes {
  readonly #made = new Map<string, Uint8Array>();

  of(key: string, value: string): Uint8Array {
    const name = `${key}=${value}`;
    let bytes = this.#made.get(name);
    if (bytes === undefined) {
      const attribute = new ProtobufWriter();
      attribute.text(1, key);
      attribute.message(2, (any) => any.text(1, value));
      bytes = attribute.bytes;
      this.#made.set(name, bytes);
    }
    return bytes;
  }
}

interface Histogram {
  readonly batch: TelemetryBatch;
  readonly attributes: Attributes;
  readonly latenciesOf: (series: Series) => Latencies;
}

function histogram(scope: ProtobufWriter, name: string, { batch, attributes, latenciesOf }: Histogram): void {
  scope.message(2, (metric) => {
    metric.text(1, name);
    metric.text(3, 'ms');
    metric.message(9, (points) => {
      for (const series of batch.series) {
        const { buckets, sum: all } = latenciesOf(series);
        const count = buckets.reduce((total, one) => total + one, 0);
        if (count === 0) continue;
        points.message(1, (point) => {
          times(point, batch);
          point.fixed64(4, BigInt(count));
          point.double(5, all);
          point.raw(6, countsIn(buckets));
          point.raw(7, BOUNDS);
          describe(point, series, attributes);
        });
      }
      points.number(2, DELTA);
    });
  });
}

function describe(point: ProtobufWriter, series: Series, attributes: Attributes): void {
  const { dimension, subject, service, status, source } = series;
  point.raw(9, attributes.of(ATTRIBUTES.dimension, dimension));
  point.raw(9, attributes.of(SUBJECT_ATTRIBUTES[dimension], subject));
  if (dimension === 'route') point.raw(9, attributes.of(ATTRIBUTES.service, service));
  point.raw(9, attributes.of(ATTRIBUTES.code, `${status}xx`));
  point.raw(9, attributes.of(ATTRIBUTES.source, source));
}

function sum(scope: ProtobufWriter, name: string, batch: TelemetryBatch, value: number): void {
  scope.message(2, (metric) => {
    metric.text(1, name);
    metric.message(7, (points) => {
      points.message(1, (point) => {
        times(point, batch);
        point.fixed64(6, BigInt(value));
      });
      points.number(2, DELTA);
      points.number(3, 1);
    });
  });
}

function times(point: ProtobufWriter, { from, until }: TelemetryBatch): void {
  point.fixed64(2, BigInt(from) * 1_000_000n);
  point.fixed64(3, BigInt(until) * 1_000_000n);
}

const BOUNDS = new Uint8Array(LATENCY_BOUNDS.length * EIGHT);
for (const [place, bound] of LATENCY_BOUNDS.entries()) {
  new DataView(BOUNDS.buffer).setFloat64(place * EIGHT, bound, true);
}

/** As `fixed64`, of which few counts need the upper half. */
function countsIn(buckets: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(buckets.length * EIGHT);
  const view = new DataView(bytes.buffer);
  for (const [place, count] of buckets.entries()) {
    if (count === 0) continue;
    view.setUint32(place * EIGHT, count % 2 ** 32, true);
    view.setUint32(place * EIGHT + 4, Math.floor(count / 2 ** 32), true);
  }
  return bytes;
}
