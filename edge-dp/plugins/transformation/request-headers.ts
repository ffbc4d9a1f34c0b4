import type { HeaderFields } from '../../http/fields.ts';
import type { ParameterRules } from './parameters.ts';

/** Changes the headers of a request as Kong does. Host can be replaced and is left alone otherwise; Content-Length is the body's. */
export function changeHeaders(headers: HeaderFields, rules: ParameterRules): void {
  for (const name of rules.remove) if (!isHost(name) && !isLength(name)) headers.delete(name);
  for (const [from, to] of rules.rename) {
    const value = isHost(from) || isLength(from) || isLength(to) || from === to ? null : headers.get(from);
    if (value === null) continue;
    headers.delete(from);
    headers.delete(to);
    headers.append(to, value);
  }
  for (const [name, value] of rules.replace) {
    if (isHost(name) || (headers.has(name) && !isLength(name))) headers.set(name, sendable(value));
  }
  for (const [name, value] of rules.add) {
    if (!isHost(name) && !isLength(name) && !isThere(headers, name)) headers.set(name, sendable(value));
  }
  for (const [name, value] of rules.append) if (!isLength(name)) headers.append(name, sendable(value));
}

function isHost(name: string): boolean {
  return name.length === 4 && name.toLowerCase() === 'host';
}

function isLength(name: string): boolean {
  return name.length === 14 && name.toLowerCase() === 'content-length';
}

/** An underscore stands for a dash where no name has it. */
function isThere(headers: HeaderFields, name: string): boolean {
  return headers.has(name) || (name.includes('_') && headers.has(name.replaceAll('_', '-')));
}

/** What would end the line comes percent-encoded, as in Kong: values hold what clients sent. */
function sendable(value: string): string {
  if (!CONTROL.test(value)) return value;
  return value.replace(/[^\P{Cc}\t]/gu, (char) => encodeURIComponent(char));
}

const CONTROL = /[^\P{Cc}\t]/u;
