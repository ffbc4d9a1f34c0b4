import { abridged } from '../../abridged.ts';
import { compileRegex } from '../../atc/regex.ts';
import { pathPattern } from '../../atc/route-regex.ts';
import { normalizePath } from '../../normalize-path.ts';

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
    const regex = compileRegex(pathPattern(path));
    return regex.ok ? undefined : `invalid regex: '${abridged(path.slice(1))}' (PCRE returned: ${regex.problem})`;
  }
  const normal = normalizePath(path);
  return path === normal ? undefined : `non-normalized path, consider use '${normal}' instead`;
}
