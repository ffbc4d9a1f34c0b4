import { isRecord } from '../../shared/record.ts';

type Entry = Readonly<Record<string, unknown>>;

/** One call of `kong.log.set_serialize_value`. */
export interface LogChange {
  /** Fields apart by dots, from the outermost in. */
  readonly path: string;
  /** JSON; undefined takes the field away. */
  readonly value: unknown;
  /** `add`: only where it is not there; `replace`: only where it is. */
  readonly mode: 'set' | 'add' | 'replace';
}

/** The entry after a change; what the change does not touch is shared. */
export function changed(entry: Entry, { path, value, mode }: LogChange): Entry {
  return within(entry, path.split('.'), value, mode) ?? entry;
}

/** Null: nothing changes. */
function within(record: Entry, path: readonly string[], value: unknown, mode: LogChange['mode']): Entry | null {
  const [name = '', ...rest] = path;
  const before = Object.hasOwn(record, name) ? record[name] : undefined;
  if (rest.length > 0) {
    if (before === undefined && (mode === 'replace' || value === undefined)) return null;
    // A field that is no table gives way to one.
    const inner = within(isRecord(before) ? before : {}, rest, value, mode);
    return inner === null ? null : { ...record, [name]: inner };
  }
  if (mode === (before === undefined ? 'replace' : 'add')) return null;
  if (value !== undefined) return { ...record, [name]: value };
  const { [name]: _, ...others } = record;
  return others;
}
