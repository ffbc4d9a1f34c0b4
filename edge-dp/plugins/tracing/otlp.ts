import { ProtobufWriter } from './protobuf-writer.ts';
import type { Attribute, RecordedAttribute, RecordedValue, Span } from './span.ts';

/** A span with the trace it belongs to. */
export interface TracedSpan {
  readonly traceId: string;
  readonly span: Span;
}

/** One line of the log of a request. */
export interface LogRecord {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Null: it has no severity. */
  readonly level: keyof typeof SEVERITIES | null;
  readonly text: string;
  readonly attributes: readonly RecordedAttribute[];
  /** Null: the request has no trace. */
  readonly trace: { readonly traceId: string; readonly spanId: string; readonly sampled: boolean } | null;
}

/** Who made the spans, as Kong names it. */
const SCOPE = { name: 'kong-internal', version: '0.1.0' };

/** `ExportTraceServiceRequest` of OTLP 1.x. */
export function encodeTraces(resource: readonly Attribute[], spans: readonly TracedSpan[]): Uint8Array<ArrayBuffer> {
  return encodeExport(resource, (scope) => {
    for (const traced of spans) scope.message(2, (span) => writeSpan(span, traced));
  });
}

/** `ExportLogsServiceRequest`. */
export function encodeLogs(resource: readonly Attribute[], records: readonly LogRecord[]): Uint8Array<ArrayBuffer> {
  return encodeExport(resource, (scope) => {
    for (const record of records) scope.message(2, (message) => writeRecord(message, record));
  });
}

/** Both requests have one form: a resource, a scope, and what is in it. */
function encodeExport(
  resource: readonly Attribute[],
  contents: (scope: ProtobufWriter) => void,
): Uint8Array<ArrayBuffer> {
  const request = new ProtobufWriter();
  request.message(1, (one) => {
    one.message(1, (message) => writeAttributes(message, 1, resource));
    one.message(2, (scope) => {
      scope.message(1, (message) => {
        message.text(1, SCOPE.name);
        message.text(2, SCOPE.version);
      });
      contents(scope);
    });
  });
  return request.bytes;
}

function writeSpan(message: ProtobufWriter, { traceId, span }: TracedSpan): void {
  message.hex(1, wholeTraceId(traceId));
  message.hex(2, span.id);
  if (span.parentId !== null) message.hex(4, span.parentId);
  message.text(5, span.name);
  message.number(6, KINDS[span.kind]);
  message.fixed64(7, nanoseconds(span.start));
  message.fixed64(8, nanoseconds(span.end));
  writeAttributes(message, 9, span.attributes);
  const { problem } = span;
  if (problem !== undefined)
    message.message(11, (event) => {
      event.fixed64(1, nanoseconds(span.end));
      event.text(2, 'exception');
      writeAttributes(event, 3, [['exception.message', problem]]);
    });
  if (span.failed) message.message(15, (status) => status.number(3, STATUS_ERROR));
}

const KINDS = { internal: 1, server: 2, client: 3 } as const;
const STATUS_ERROR = 2;

function writeRecord(message: ProtobufWriter, { at, level, text, attributes, trace }: LogRecord): void {
  message.fixed64(1, nanoseconds(at));
  if (level !== null) {
    const [number, name] = SEVERITIES[level];
    message.number(2, number);
    message.text(3, name);
  }
  message.message(5, (body) => body.text(1, text));
  writeAttributes(message, 6, attributes);
  if (trace !== null) {
    message.fixed32(8, trace.sampled ? 1 : 0);
    message.hex(9, wholeTraceId(trace.traceId));
    message.hex(10, trace.spanId);
  }
  message.fixed64(11, nanoseconds(at));
}

/** nginx's levels, as OTLP's severity numbers and their own names. */
const SEVERITIES = {
  debug: [5, 'DEBUG'],
  info: [9, 'INFO'],
  notice: [11, 'NOTICE'],
  warn: [13, 'WARN'],
  error: [17, 'ERR'],
  crit: [19, 'CRIT'],
} as const;

function writeAttributes(message: ProtobufWriter, field: number, attributes: readonly RecordedAttribute[]): void {
  for (const [name, value] of attributes) {
    message.message(field, (attribute) => {
      attribute.text(1, name);
      attribute.message(2, (any) => writeValue(any, value));
    });
  }
}

function writeValue(any: ProtobufWriter, value: RecordedValue): void {
  if (typeof value === 'string') any.text(1, value);
  else if ('bool' in value) any.number(2, value.bool ? 1 : 0);
  else if ('int' in value) any.number(3, value.int);
  else if ('double' in value) any.double(4, value.double);
  else if ('list' in value)
    any.message(5, (list) => {
      for (const item of value.list) list.message(1, (each) => writeValue(each, item));
    });
  else any.message(6, (map) => writeAttributes(map, 1, value.map));
}

/** OTLP's trace ids have 128 bits. */
function wholeTraceId(id: string): string {
  return id.padStart(32, '0');
}

function nanoseconds(milliseconds: number): bigint {
  return BigInt(Math.round(milliseconds)) * 1_000_000n;
}
