const RESERVED = new Set("!*'();:@&=+$,/?%#[]");
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The path as routes see it: percent-escapes decoded except reserved characters (RFC 3986 §2.2), which keep theirs in
 * upper case, dot segments removed (§5.2.4), and runs of slashes merged unless told otherwise.
 *
 * Escaped bytes that are not UTF-8 stay escaped: the text stays exact, and goes upstream as the same bytes.
 */
export function normalizePath(path: string, mergeSlashes = true): string {
  const decoded = path.includes('%') ? path.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) => decodeRun(run, RESERVED)) : path;
  const plain = !decoded.includes('/.') && !decoded.startsWith('.') && !(mergeSlashes && decoded.includes('//'));
  return plain ? decoded : removeDotSegments(decoded, mergeSlashes);
}

/**
 * The path as nginx has it in `$uri`: every escape decoded, and only then dot segments removed and slashes merged. Escaped bytes that
 * are not UTF-8 stay escaped here, too.
 */
export function decodedPath(path: string): string {
  const decoded = path.includes('%') ? path.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) => decodeRun(run, NONE)) : path;
  return removeDotSegments(decoded, true);
}

const NONE: ReadonlySet<string> = new Set();

/** Decodes one run of escapes, but for some characters, so that the bytes of one character come together. */
function decodeRun(run: string, kept: ReadonlySet<string>): string {
  const bytes = new Uint8Array(run.length / 3);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(run.slice(i * 3 + 1, i * 3 + 3), 16);
  let text = '';
  for (let i = 0; i < bytes.length; ) {
    const size = sequenceLength(bytes, i);
    const char = size === 0 ? null : UTF8.decode(bytes.subarray(i, i + size));
    if (char === null || kept.has(char)) {
      text += run.slice(i * 3, i * 3 + 3).toUpperCase();
      i++;
    } else {
      text += char;
      i += size;
    }
  }
  return text;
}

/** Bytes of the well-formed UTF-8 character at an index (RFC 3629 §4); 0 where there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  const size = lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
  if (size === 0 || at + size > bytes.length) return 0;
  for (let i = 1; i < size; i++) if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) return 0;
  const second = bytes[at + 1] ?? 0;
  const overlong = (lead === 0xe0 && second < 0xa0) || (lead === 0xf0 && second < 0x90);
  const outside = (lead === 0xed && second > 0x9f) || (lead === 0xf4 && second > 0x8f);
  return overlong || outside ? 0 : size;
}

/** RFC 3986 §5.2.4 over segments that each carry the slash in front of them. */
function removeDotSegments(path: string, mergeSlashes: boolean): string {
  const output: string[] = [];
  let at = 0;
  while (at < path.length && path[at] !== '/') {
    const end = endOfSegment(path, at);
    const segment = path.slice(at, end);
    const dots = segment === '.' || segment === '..';
    if (!dots) output.push(segment);
    at = dots && end < path.length ? end + 1 : end;
    if (!dots) break;
  }
  while (at < path.length) {
    const end = endOfSegment(path, at + 1);
    const segment = path.slice(at + 1, end);
    const last = end === path.length;
    if (segment === '..') output.pop();
    if (segment === '.' || segment === '..') {
      if (last) output.push('/');
    } else if (!(mergeSlashes && segment === '' && !last)) {
      output.push(path.slice(at, end));
    }
    at = end;
  }
  return output.join('');
}

function endOfSegment(path: string, from: number): number {
  const slash = path.indexOf('/', from);
  return slash < 0 ? path.length : slash;
}
