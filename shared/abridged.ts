/** Errors are read by people: of a long text its beginning says which it is. */
export function abridged(text: string): string {
  return text.length > 500 ? `${text.slice(0, 500)}…` : text;
}
