import { normalizePath } from '../normalize-path.ts';

/**
 * Route paths of formats 1.1 and 2.1, in which a path with regular-expression characters was one without saying so.
 * Plain paths come back normalised, all others as `~` regexes (Kong's 3.0 migration).
 */
export function migrateLegacyPath(path: string): string {
  if (/^[A-Za-z0-9.\-_~/%]*$/.test(path)) return normalizePath(path);
  return `~${path.replace(/%([0-9A-Fa-f]{2})/g, decodeInRegex)}`;
}

/** RFC 3986 reserved characters, which keep their percent-encoding. */
const RESERVED = "!*'();:@&=+$,/?%#[]";

function decoded(hex: string): string | null {
  const character = String.fromCharCode(Number.parseInt(hex, 16));
  return RESERVED.includes(character) ? null : character;
}

function decodeInRegex(triplet: string, hex: string): string {
  const character = decoded(hex);
  if (character === null) return triplet.toUpperCase();
  return /[\\^$.|?*+()[\]{}]/.test(character) ? `\\${character}` : character;
}
