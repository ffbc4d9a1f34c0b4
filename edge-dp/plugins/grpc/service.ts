import { compilePattern, type Regex } from '../../../shared/atc/regex.ts';
import type { HttpBinding, ProtoDescriptor, ProtoMethod } from '../../../shared/grpc/descriptor.ts';
import { pathPattern } from '../../../shared/grpc/path-pattern.ts';
import { isRecord } from '../../../shared/record.ts';
import { MessageCodec } from './codec.ts';

/** What a `.proto` file says, ready for requests. */
export interface GrpcService {
  readonly codec: MessageCodec;
  /** By path: `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, ProtoMethod>;
  /** How methods are called over plain HTTP, by its method in lower case. */
  readonly bindings: ReadonlyMap<string, readonly Binding[]>;
}

export interface Binding {
  readonly method: ProtoMethod;
  readonly body: string | null;
  /** What the path gives, by the fields' paths; null: it is another's. */
  match(path: string): ReadonlyMap<string, string> | null;
}

/** `config.proto` as it travels. Null: none is configured; a text: why it is of no use. */
export function compileProto(proto: unknown): GrpcService | string | null {
  if (proto === null || proto === undefined) return null;
  if (isRecord(proto) && typeof proto.problem === 'string') return proto.problem;
  if (!isDescriptor(proto)) return 'the control plane has not read it';
  const bindings = new Map<string, Binding[]>();
  for (const method of proto.methods) {
    for (const binding of method.bindings) {
      const known = bindings.get(binding.method) ?? [];
      known.push(compileBinding(method, binding));
      bindings.set(binding.method, known);
    }
  }
  const methods = new Map(proto.methods.map((method) => [method.path, method]));
  return { codec: new MessageCodec(proto), methods, bindings };
}

function isDescriptor(value: unknown): value is ProtoDescriptor {
  return isRecord(value) && isRecord(value.messages) && isRecord(value.enums) && Array.isArray(value.methods);
}

function compileBinding(method: ProtoMethod, { path, body }: HttpBinding): Binding {
  const { source, names } = pathPattern(path);
  const regex = compiled(source);
  return {
    method,
    body,
    match(given) {
      const match = regex.exec(given);
      return match === null ? null : new Map(names.map((name, at) => [name, decoded(match[at + 1] ?? '')]));
    },
  };
}

function compiled(pattern: string): Regex {
  const outcome = compilePattern(pattern);
  if (!outcome.ok) throw new Error(`'${pattern}' is no regular expression: ${outcome.problem}`);
  return outcome.regex;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
