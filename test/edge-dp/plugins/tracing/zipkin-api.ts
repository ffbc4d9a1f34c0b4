import { isRecord } from '../../../../shared/record.ts';

/** What is said of a member of JSON. */
type Kind = (value: unknown) => boolean;

const text: Kind = (value) => typeof value === 'string';
const natural: Kind = (value) => Number.isSafeInteger(value) && Number(value) > 0;
const hex =
  (pattern: RegExp): Kind =>
  (value) =>
    typeof value === 'string' && pattern.test(value);
const oneOf =
  (...values: readonly string[]): Kind =>
  (value) =>
    values.includes(String(value));
const tags: Kind = (value) => isRecord(value) && Object.values(value).every(text);
const object =
  (members: Readonly<Record<string, Kind>>, required: readonly string[] = []): Kind =>
  (value) =>
    isRecord(value) && faultsOf(value, members, required).length === 0;

const endpoint = object({
  serviceName: text,
  ipv4: hex(/^\d+(\.\d+){3}$/),
  ipv6: hex(/^[0-9a-f:.]*:[0-9a-f:.]*$/),
  port: natural,
});
const annotation = object({ timestamp: natural, value: text }, ['timestamp', 'value']);

/** `Span` of the OpenAPI document that Zipkin publishes for its API v2. */
const SPAN: Readonly<Record<string, Kind>> = {
  traceId: hex(/^[a-f0-9]{16}([a-f0-9]{16})?$/),
  name: text,
  parentId: hex(/^[a-f0-9]{16}$/),
  id: hex(/^[a-f0-9]{16}$/),
  kind: oneOf('CLIENT', 'SERVER', 'PRODUCER', 'CONSUMER'),
  timestamp: natural,
  // Less than one is rounded up.
  duration: natural,
  debug: (value) => typeof value === 'boolean',
  shared: (value) => typeof value === 'boolean',
  localEndpoint: endpoint,
  remoteEndpoint: endpoint,
  annotations: (value) =>
    Array.isArray(value) &&
    value.every(annotation) &&
    new Set(value.map((each) => JSON.stringify(each))).size === value.length,
  tags,
};

/** What of spans is not as the document has it, by name. */
export function faultsOfSpans(spans: readonly Readonly<Record<string, unknown>>[]): readonly string[] {
  return spans.flatMap((span, at) => faultsOf(span, SPAN, ['traceId', 'id']).map((fault) => `${at}: ${fault}`));
}

function faultsOf(
  value: Readonly<Record<string, unknown>>,
  members: Readonly<Record<string, Kind>>,
  required: readonly string[],
): readonly string[] {
  const missing = required.filter((name) => value[name] === undefined).map((name) => `${name} is missing`);
  const wrong = Object.entries(value).flatMap(([name, member]) =>
    members[name]?.(member) === true ? [] : [`${name}: ${JSON.stringify(member)}`],
  );
  return [...missing, ...wrong];
}
