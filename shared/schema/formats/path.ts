import { compileRegex } from '../../atc/regex.ts';

const PATH = /^\/[\w.\-~/%:@!$&'()*+,;=]*$/;

/** A request path of RFC 3986 characters, properly percent-encoded. */
export function pathError(path: string): string | undefined {
  if (!PATH.test(path)) {
    return `invalid path: '${path}' (characters outside of the reserved list of RFC 3986 found)`;
  }
  return encodingError(path);
}

function encodingError(path: string): string | undefined {
  const bad = /%(?![0-9a-f]{2}).{0,2}/is.exec(path);
  return bad ? `invalid url-encoded value: '${bad[0]}'` : undefined;
}

/** `routes.paths`: a normalised prefix, or `~` and a regular expression. */
export function routePathError(path: string): string | undefined {
  // Characters outside RFC 3986 are let through, and only paths without them have their encoding looked at.
  const encoding = PATH.test(path) ? encodingError(path) : undefined;
  if (encoding) return encoding;
  if (path.startsWith('~')) {
    // Compiled as the data planes do, so that no accepted route can be one they refuse.
    const regex = compileRegex(path.slice(1));
    return regex.ok ? undefined : `invalid regex: '${path.slice(1)}' (PCRE returned: ${regex.problem})`;
  }
  const normal = normalizePath(path);
  return path === normal ? undefined : `non-normalized path, consider use '${normal}' instead`;
}

/**
 * RFC 3986, 6.2.2: percent-encoded characters that are not reserved are decoded, dot segments resolved, repeated
 * slashes merged.
 */
export function normalizePath(path: string): string {
  const decoded = path.includes('%') ? decodeUnreserved(path) : path;
  if (!decoded.includes('.') && !decoded.includes('//')) return decoded;
  const segments: string[] = [];
  const parts = decoded
    .replace(/\/{2,}/g, '/')
    .split('/')
    .slice(1);
  parts.forEach((part, i) => {
    const last = i === parts.length - 1;
    if (part === '..') segments.pop();
    else if (part !== '.') {
      segments.push(part);
      return;
    }
    if (last) segments.push('');
  });
  return `/${segments.join('/')}`;
}

const RESERVED = new Set([..."!*'();:@&=+$,/?%#[]"].map((char) => char.charCodeAt(0)));

function decodeUnreserved(path: string): string {
  return path.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
    let text = '';
    let bytes: number[] = [];
    const flush = () => {
      text += new TextDecoder().decode(Uint8Array.from(bytes));
      bytes = [];
    };
    for (let i = 0; i < run.length; i += 3) {
      const byte = Number.parseInt(run.slice(i + 1, i + 3), 16);
      if (RESERVED.has(byte)) {
        flush();
        text += run.slice(i, i + 3).toUpperCase();
      } else bytes.push(byte);
    }
    flush();
    return text;
  });
}
