import { strictUtf8, unescapePercent } from './urlencoded.ts';

/**
 * The path of a request as it was sent, from its target (or a URL), without decoding: an encoded slash in a name stays part of
 * that name, and dot segments stay where they are.
 */
export function rawPath(target: string): string {
  const [, path = ''] = /^(?:[a-z][a-z0-9+.-]*:\/\/[^/?#]*)?([^?#]*)/is.exec(target) ?? [];
  return path === '' ? '/' : path;
}

/**
 * Whether one of a path's segments is `.` or `..`, however it is written. URLs lead elsewhere by these (RFC 3986, 5.2.4), so
 * that what a client, a proxy and this server make of the path may be three things. `last`: the segment in the last place counts.
 */
export function hasDotSegment(path: string, last: boolean): boolean {
  const segments = path.split('/');
  return (last ? segments : segments.slice(0, -1)).some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment));
}

/** Whether a path spells out bytes that no name can have: U+0000, and what is no UTF-8. */
export function hasUnusableBytes(path: string): boolean {
  if (!path.includes('%')) return false;
  if (path.includes('%00')) return true;
  try {
    unescapePercent(path, strictUtf8);
    return false;
  } catch {
    return true;
  }
}

/** Without its trailing slash, of which Kong tolerates one. */
export function withoutTrailingSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

export interface WorkspacePath {
  /** Decoded name of the workspace in front of the path; null: the default one. */
  readonly workspace: string | null;
  readonly path: string;
}

/**
 * Splits `/{workspace}/services` when its first segment is none of the Admin API's own. The API's segments win, so a
 * workspace that carries the name of a collection is reached by its other paths only.
 */
export function splitWorkspace(path: string, ownSegments: ReadonlySet<string>): WorkspacePath {
  const slash = path.indexOf('/', 1);
  const first = slash === -1 ? path.slice(1) : path.slice(1, slash);
  if (slash === -1 || ownSegments.has(first)) return { workspace: null, path };
  return { workspace: unescapePercent(first), path: path.slice(slash) };
}
