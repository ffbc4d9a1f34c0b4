/** Percent escapes undone. What is no escape stays as it is, bytes that are no UTF-8 stay escaped. */
export function unescaped(text: string): string {
  return text.replace(/(?:%[\da-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      return escapes;
    }
  });
}
