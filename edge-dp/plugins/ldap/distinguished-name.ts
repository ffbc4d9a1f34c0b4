/**
 * An attribute's value as it stands in a distinguished name (RFC 4514 section 2.4), so that no text says more than one value.
 */
export function escapeValue(value: string): string {
  return value
    .replace(/[",+;<>\\=]/g, '\\$&')
    .replaceAll('\0', '\\00')
    .replace(/^[ #]|(?<!^) $/g, '\\$&');
}
