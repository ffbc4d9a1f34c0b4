import { concatBytes } from '../../../shared/bytes.ts';
import { parseAround } from '../../../shared/lua/cjson.ts';
import { isRecord, type Row } from '../../../shared/record.ts';
import { membersOf } from '../../http/arguments/json.ts';
import type { Parameters } from './parameters.ts';

/**
 * The members at the top of a JSON object. What no rule names stays byte for byte: numbers beyond 2^53, escapes, blanks within. Of
 * several of one name the last counts.
 */
export class JsonParameters implements Parameters<JsonValue> {
  readonly #members: Map<string, Member>;
  readonly #renamesFalse: boolean;

  private constructor(members: Map<string, Member>, renamesFalse: boolean) {
    this.#members = members;
    this.#renamesFalse = renamesFalse;
  }

  /**
   * Null for other JSON, and for what is none; nothing at all is an empty object. A member that is false is not there for rules, as
   * in Kong; `renamesFalse`: but for those that rename.
   */
  static read(body: Uint8Array, renamesFalse: boolean): JsonParameters | null {
    if (body.length === 0) return new JsonParameters(new Map(), renamesFalse);
    const object = parsed(body);
    if (object === null) return null;
    const members = new Map<string, Member>();
    for (const { name, value, end } of membersOf(body)) {
      members.set(name, { value: object[name], json: body.subarray(value, end) });
    }
    return new JsonParameters(members, renamesFalse);
  }

  remove(name: string): boolean {
    return this.#members.delete(name);
  }

  rename(from: string, to: string): boolean {
    const member = this.#renamesFalse ? this.#members.get(from) : this.#counting(from);
    if (member === undefined) return false;
    this.#members.delete(from);
    this.#members.set(to, member);
    return true;
  }

  replace(name: string, value: JsonValue): boolean {
    if (this.#counting(name) === undefined) return false;
    this.#set(name, value);
    return true;
  }

  add(name: string, value: JsonValue): boolean {
    if (this.#counting(name) !== undefined) return false;
    this.#set(name, value);
    return true;
  }

  append(name: string, value: JsonValue): boolean {
    const before = this.#members.get(name);
    const json = before === undefined ? `[${JSON.stringify(value)}]` : appended(before, JSON.stringify(value));
    this.#members.set(name, { value: TABLE, json: UTF8.encode(json) });
    return true;
  }

  encode(): Uint8Array {
    const parts: Uint8Array[] = [];
    for (const [name, { json }] of this.#members) {
      parts.push(UTF8.encode(`${parts.length === 0 ? '{' : ','}${JSON.stringify(name)}:`), json);
    }
    return parts.length === 0 ? EMPTY : concatBytes([...parts, CLOSE]);
  }

  #counting(name: string): Member | undefined {
    const member = this.#members.get(name);
    return member?.value === false ? undefined : member;
  }

  #set(name: string, value: JsonValue): void {
    this.#members.set(name, { value, json: UTF8.encode(JSON.stringify(value)) });
  }
}

export type JsonValue = string | number | boolean;

interface Member {
  /** As it was parsed; `TABLE` for what has become a list. */
  readonly value: unknown;
  readonly json: Uint8Array;
}

/** Stands for a list with something in it. */
const TABLE = ['…'];

/** What others take for JSON, too: it would evade the rules. */
function parsed(body: Uint8Array): Row | null {
  try {
    const value = parseAround(TEXT.decode(body));
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

/** Kong's: a text becomes a list of two, a list gets longer, an object gets the member `1`; anything else is dropped. */
function appended({ value, json }: Member, item: string): string {
  const text = TEXT.decode(json);
  if (typeof value === 'string') return `[${text},${item}]`;
  if (Array.isArray(value) && value.length > 0) return `${text.slice(0, text.lastIndexOf(']'))},${item}]`;
  if (isRecord(value) && Object.keys(value).length > 0) return `${text.slice(0, text.lastIndexOf('}'))},"1":${item}}`;
  return `[${item}]`;
}

const UTF8 = new TextEncoder();
const TEXT = new TextDecoder();
const CLOSE = UTF8.encode('}');
const EMPTY = UTF8.encode('{}');
