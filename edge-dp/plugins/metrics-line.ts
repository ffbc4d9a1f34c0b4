/** What StatsD calls the kinds of metrics, Datadog's `distribution` among them. */
const TYPES = {
  counter: 'c',
  gauge: 'g',
  histogram: 'h',
  meter: 'm',
  set: 's',
  timer: 'ms',
  distribution: 'd',
} as const;

export type StatType = keyof typeof TYPES;

/** How a metric's tags are written: see the documents of each system. */
export type TagStyle = 'dogstatsd' | 'influxdb' | 'librato' | 'signalfx';

export interface Metric {
  readonly name: string;
  readonly value: number | string;
  readonly type: StatType;
  /** Null or 1: every one is sent. */
  readonly rate: number | null;
}

/** A metric as StatsD takes it: `name:value|type|@rate`, with tags where the style has them. */
export function metricLine({ name, value, type, rate }: Metric, tags: readonly Tag[] | null, style: TagStyle): string {
  const tail = `:${value}|${TYPES[type]}${rate === null || rate === 1 ? '' : `|@${rate}`}`;
  if (tags === null || tags.length === 0) return name + tail;
  const equations = (): string => tags.map((tag) => (typeof tag === 'string' ? tag : tag.join('='))).join(',');
  switch (style) {
    case 'dogstatsd':
      return `${name}${tail}|#${tags.map((tag) => (typeof tag === 'string' ? tag : tag.join(':'))).join(',')}`;
    case 'influxdb':
      return `${name},${equations()}${tail}`;
    case 'librato':
      return `${name}#${equations()}${tail}`;
    case 'signalfx':
      return `${name}[${equations()}]${tail}`;
  }
}

/** A name with its value, or a text of its own. */
export type Tag = string | readonly [name: string, value: string];

/** A name of an entity or a client as a part of a metric's name: without what ends one, or begins another. */
export function namePart(text: string): string {
  return text.replace(/[:|@#\p{Cc}]/gu, '_');
}

/** The same as the value of a tag. */
export function tagValue(text: string): string {
  return text.replace(/[|,#=[\]\p{Cc}]/gu, '_');
}
