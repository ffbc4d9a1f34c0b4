import { multipartValues } from '../http/arguments/multipart.ts';
import { forEachLine, type HeaderFields } from '../http/fields.ts';
import { allArguments } from '../proxy/query.ts';
import { RequestHeaders } from './runtime/request-headers.ts';

/** A request in JSON, as Kong's tables come out there. */

/** Arguments by name: `true` for one without `=`, a list where there are several of one. */
export function argumentTable(query: string): Readonly<Record<string, unknown>> {
  const values = Map.groupBy(allArguments(query), ([name]) => name);
  return Object.fromEntries([...values].map(([name, all]) => [name, all.length > 1 ? all.map(second) : all[0]?.[1]]));
}

/** Headers by lower-case name; several lines of one are a list where the host tells them apart, else one text. */
export function headerTable(headers: HeaderFields): Readonly<Record<string, string | readonly string[]>> {
  const table = new Map<string, string | readonly string[]>();
  forEachLine(headers instanceof RequestHeaders ? headers.fields : headers, (value, name) => {
    const before = table.get(name);
    table.set(name, before === undefined ? value : [before, value].flat());
  });
  return Object.fromEntries(table);
}

/** A body's arguments (`kong.request.get_body`). `unknown`: its type has none; `broken`: it is not what its type says. */
export function bodyTable(
  type: string | null,
  bytes: Uint8Array,
): { readonly kind: 'table'; readonly value: unknown } | { readonly kind: 'unknown' | 'broken' } {
  switch (type?.split(';', 1)[0]?.trim().toLowerCase()) {
    case 'application/x-www-form-urlencoded':
      return { kind: 'table', value: argumentTable(new TextDecoder().decode(bytes)) };
    case 'application/json':
      try {
        return { kind: 'table', value: JSON.parse(new TextDecoder().decode(bytes)) };
      } catch {
        return { kind: 'broken' };
      }
    case 'multipart/form-data': {
      const fields = multipartValues(type ?? '', bytes);
      if (fields === null) return { kind: 'broken' };
      const values = [...fields].map(([name, all]) => [name, all.length > 1 ? all : all[0]]);
      return { kind: 'table', value: Object.fromEntries(values) };
    }
    default:
      return { kind: 'unknown' };
  }
}

function second<T>([, value]: readonly [unknown, T]): T {
  return value;
}
