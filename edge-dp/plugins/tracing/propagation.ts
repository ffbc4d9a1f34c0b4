import type { HeaderFields } from '../../http/fields.ts';
import { aws } from './formats/aws.ts';
import { b3, b3Single } from './formats/b3.ts';
import { datadog } from './formats/datadog.ts';
import { gcp } from './formats/gcp.ts';
import { jaeger } from './formats/jaeger.ts';
import { ot } from './formats/ot.ts';
import { w3c } from './formats/w3c.ts';
import type { Format, Incoming, Outgoing } from './trace-context.ts';

type FormatName = 'w3c' | 'b3' | 'b3-single' | 'jaeger' | 'ot' | 'aws' | 'gcp' | 'datadog';

/** The fields of zipkin's and opentelemetry's config that decide which headers are read and written. */
export interface PropagationConfig {
  readonly propagation: {
    readonly extract: readonly Exclude<FormatName, 'b3-single'>[] | null;
    readonly clear: readonly string[] | null;
    readonly inject: readonly (FormatName | 'preserve')[] | null;
    readonly default_format: FormatName;
  };
  readonly header_type: FormatName | 'preserve' | 'ignore' | null;
  /** Of zipkin alone. */
  readonly default_header_type?: FormatName;
}

/** Where a request's trace comes from, and what becomes of its headers. */
export interface Propagation {
  /** The first format of the client's headers that can be used, else B3 where it is spoken without ids; null: there is none. */
  extract(headers: HeaderFields): Found | null;
  /** Writes the headers for the upstream. Gives the trace id as each format has it, by its name; the two of B3 have one. */
  inject(headers: HeaderFields, context: Outgoing, found: Found | null): Readonly<Record<string, string>>;
}

export interface Found {
  readonly format: FormatName;
  readonly context: Incoming;
}

const FORMATS: Readonly<Record<FormatName, Format>> = {
  w3c,
  b3,
  'b3-single': b3Single,
  jaeger,
  ot,
  aws,
  gcp,
  datadog,
};

/** The order of `header_type`, which older configs have. */
const ALL = ['b3', 'w3c', 'jaeger', 'ot', 'datadog', 'aws', 'gcp'] as const;

/** As soon as one list of `propagation` is set, `header_type` says nothing. */
export function compilePropagation({
  propagation: { extract, clear, inject, default_format },
  header_type,
  default_header_type = default_format,
}: PropagationConfig): Propagation {
  if (extract !== null || clear !== null || inject !== null) {
    return create(extract ?? [], clear ?? [], inject ?? [], default_format);
  }
  if (header_type === 'ignore') return create([], [], [default_header_type], default_header_type);
  const wanted = header_type === null || header_type === 'preserve' ? [] : [header_type];
  return create(ALL, [], ['preserve', ...wanted], default_header_type);
}

function create(
  extract: readonly FormatName[],
  clear: readonly string[],
  inject: readonly (FormatName | 'preserve')[],
  defaultFormat: FormatName,
): Propagation {
  return {
    extract(headers) {
      let spoken: Found | null = null;
      for (const format of extract) {
        const context = FORMATS[format].extract(headers);
        if (context === null) continue;
        const found = { format: context.single ? 'b3-single' : format, context } as const;
        if (context.traceId !== null || context.sampled !== null) return found;
        // Without an id and a decision it says no more than that somebody speaks B3: the upstream is told in B3, too.
        if (format === 'b3') spoken ??= found;
      }
      return spoken;
    },
    inject(headers, context, found) {
      for (const name of clear) headers.delete(name);
      const formats = new Set(
        inject.map((format) => (format === 'preserve' ? (found?.format ?? defaultFormat) : format)),
      );
      const written = [...formats].map(
        (format) => [format === 'b3-single' ? 'b3' : format, FORMATS[format].inject(headers, context)] as const,
      );
      return Object.fromEntries(written);
    },
  };
}
