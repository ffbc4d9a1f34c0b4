import { unescapePercent } from './urlencoded.ts';

/** The path of a request URL as it was sent, without decoding: an encoded slash in a name stays part of that name. */
export function rawPath(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3);
  if (start === -1) return '/';
  const end = url.slice(start).search(/[?#]/);
  return end === -1 ? url.slice(start) : url.slice(start, start + end);
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
