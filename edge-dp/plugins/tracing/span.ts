/** One step of a trace, over. */
export interface Span {
  readonly id: string;
  /** Null: the first of the trace. */
  readonly parentId: string | null;
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client';
  /** Milliseconds since the epoch. */
  readonly start: number;
  readonly end: number;
  readonly attributes: readonly Attribute[];
  readonly failed: boolean;
  /** What went wrong, for spans that tell. */
  readonly problem?: string;
}

export type Attribute = readonly [name: string, value: AttributeValue];

/** Numbers come in the two kinds that OTLP has. */
export type AttributeValue = string | { readonly int: number } | { readonly double: number };

/** What an attribute of a log record may hold besides. */
export type RecordedValue =
  | AttributeValue
  | { readonly bool: boolean }
  | { readonly list: readonly RecordedValue[] }
  | { readonly map: readonly RecordedAttribute[] };

export type RecordedAttribute = readonly [name: string, value: RecordedValue];
