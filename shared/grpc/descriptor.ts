/** What data planes know of a `.proto` file: made by the control plane, travels in place of the file's name. */
export interface ProtoDescriptor {
  /** By full name, without the dot in front. */
  readonly messages: Readonly<Record<string, readonly ProtoField[]>>;
  /** Names to numbers. */
  readonly enums: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly methods: readonly ProtoMethod[];
}

/** A file that could not be read, which requests are told of. */
export interface ProtoProblem {
  readonly problem: string;
}

export interface ProtoField {
  readonly name: string;
  readonly number: number;
  readonly type: ProtoType;
  readonly repeated: boolean;
  /** Repeated numbers are written one behind the other. */
  readonly packed: boolean;
  /** The type of a map's keys; null: it is none. */
  readonly key: ScalarType | null;
  /** It says whether it is there (`optional`, `oneof`, proto2): no default is read for it. */
  readonly presence: boolean;
}

export type ProtoType = { readonly scalar: ScalarType } | { readonly message: string } | { readonly enum: string };

export type ScalarType =
  | 'double'
  | 'float'
  | 'int32'
  | 'int64'
  | 'uint32'
  | 'uint64'
  | 'sint32'
  | 'sint64'
  | 'fixed32'
  | 'fixed64'
  | 'sfixed32'
  | 'sfixed64'
  | 'bool'
  | 'string'
  | 'bytes';

export interface ProtoMethod {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly input: string;
  readonly output: string;
  /** It answers with a stream of messages. */
  readonly streams: boolean;
  /** `google.api.http`. */
  readonly bindings: readonly HttpBinding[];
}

/** How a method is called over plain HTTP. */
export interface HttpBinding {
  /** In lower case. */
  readonly method: string;
  /** With `{variables}`. */
  readonly path: string;
  /** The field that the body is, `*` for all; null: there is none. */
  readonly body: string | null;
}
