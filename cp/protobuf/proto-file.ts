import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import protobuf from 'protobufjs';
import { compilePattern } from '../../shared/atc/regex.ts';
import type {
  HttpBinding,
  ProtoDescriptor,
  ProtoField,
  ProtoMethod,
  ScalarType,
} from '../../shared/grpc/descriptor.ts';
import { pathPattern } from '../../shared/grpc/path-pattern.ts';
import { isRecord } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';

/** What a `.proto` file and those that it imports from its folder say. Throws `ProtoFileError`. */
export function readProtoFile(path: string): ProtoDescriptor {
  const file = resolve(path);
  const known = read.get(file);
  if (known !== undefined && [...known.files].every(([each, changed]) => modified(each) === changed)) {
    return known.descriptor;
  }
  const root = new protobuf.Root();
  const files = new Map<string, number>();
  load(file, root, dirname(file), files);
  const descriptor = describe(root, file);
  read.set(file, { files, descriptor });
  return descriptor;
}

/** Why a file is of no use, without anything that stands in it. */
export class ProtoFileError extends Error {
  override readonly name = 'ProtoFileError';
}

/** With all files that were read for it, and when they had been changed. */
interface ReadFile {
  readonly files: ReadonlyMap<string, number>;
  readonly descriptor: ProtoDescriptor;
}

const read = new Map<string, ReadFile>();

/** Bytes of one file, and how many one may import. */
const LONGEST = 1024 * 1024;
const MOST_FILES = 100;

function modified(file: string): number {
  try {
    const found = statSync(file);
    if (!found.isFile()) throw new ProtoFileError(`${file} is no file`);
    if (found.size > LONGEST) throw new ProtoFileError(`${file} is longer than ${LONGEST} bytes`);
    return found.mtimeMs;
  } catch (error) {
    if (error instanceof ProtoFileError) throw error;
    throw new ProtoFileError(`${file} cannot be read`);
  }
}

function load(file: string, root: protobuf.Root, folder: string, loaded: Map<string, number>): void {
  if (loaded.has(file)) return;
  if (loaded.size >= MOST_FILES) throw new ProtoFileError(`${file} is one import too many: ${MOST_FILES} are read`);
  loaded.set(file, modified(file));
  let parsed: protobuf.IParserResult;
  try {
    parsed = protobuf.parse(readFileSync(file, 'utf8'), root, { keepCase: true });
  } catch (error) {
    // The parser quotes what it does not understand.
    const line = /\(line (\d+)\)/.exec(messageOf(error))?.[1];
    throw new ProtoFileError(`${file} is no .proto file${line === undefined ? '' : `: line ${line} cannot be parsed`}`);
  }
  for (const name of [...(parsed.imports ?? []), ...(parsed.weakImports ?? [])]) {
    if (name.startsWith('google/api/')) continue;
    const common = protobuf.common.get(name);
    if (common?.nested !== undefined) root.addJSON(common.nested);
    else load(resolve(folder, name), root, folder, loaded);
  }
}

function describe(root: protobuf.Root, file: string): ProtoDescriptor {
  try {
    root.resolveAll();
  } catch {
    throw new ProtoFileError(`${file} names types that it neither defines nor imports`);
  }
  const messages: Record<string, readonly ProtoField[]> = {};
  const enums: Record<string, Record<string, number>> = {};
  const methods: ProtoMethod[] = [];
  const visit = (within: protobuf.NamespaceBase): void => {
    for (const item of within.nestedArray) {
      if (item instanceof protobuf.Type) messages[nameOf(item)] = item.fieldsArray.map(fieldOf);
      if (item instanceof protobuf.Enum) enums[nameOf(item)] = item.values;
      if (item instanceof protobuf.Service) methods.push(...item.methodsArray.map((method) => methodOf(item, method)));
      if (item instanceof protobuf.Namespace) visit(item);
    }
  };
  visit(root);
  return { messages, enums, methods };
}

function nameOf(item: protobuf.ReflectionObject): string {
  return item.fullName.replace(/^\./, '');
}

function fieldOf(field: protobuf.Field): ProtoField {
  const { resolvedType: type } = field.resolve();
  return {
    name: field.name,
    number: field.id,
    type:
      type === null
        ? { scalar: field.type as ScalarType }
        : type instanceof protobuf.Enum
          ? { enum: nameOf(type) }
          : { message: nameOf(type) },
    repeated: field.repeated,
    packed: field.repeated && field.packed,
    key: field instanceof protobuf.MapField ? (field.keyType as ScalarType) : null,
    // It is the oneof itself where there is one.
    presence: Boolean(field.hasPresence),
  };
}

function methodOf(service: protobuf.Service, method: protobuf.Method): ProtoMethod {
  method.resolve();
  const { resolvedRequestType: input, resolvedResponseType: output } = method;
  if (input === null || output === null) throw new ProtoFileError(`the types of ${method.fullName} are not there`);
  const options: readonly unknown[] = method.parsedOptions ?? [];
  const bindings = options.flatMap((option) => (isRecord(option) ? bindingsOf(option['(google.api.http)']) : []));
  // As data planes compile it, so that none of them refuses what is accepted here.
  for (const { path } of bindings) {
    if (!compilePattern(pathPattern(path).source).ok)
      throw new ProtoFileError(`the HTTP path of ${nameOf(method)} is too long, or has too many wildcards`);
  }
  return {
    path: `/${nameOf(service)}/${method.name}`,
    input: nameOf(input),
    output: nameOf(output),
    streams: method.responseStream === true,
    bindings,
  };
}

function bindingsOf(rule: unknown): readonly HttpBinding[] {
  if (!isRecord(rule)) return [];
  const { body, additional_bindings: more } = rule;
  const own = METHODS.flatMap((method) => {
    const path = rule[method];
    return typeof path === 'string' ? [{ method, path, body: typeof body === 'string' ? body : null }] : [];
  });
  return [...own, ...(Array.isArray(more) ? more : [more]).flatMap(bindingsOf)];
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
