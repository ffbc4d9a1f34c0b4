/** Kong says what charset texts are in that it answers with itself, where nobody else does (nginx's `charset`). */
export function withCharset(type: string): string {
  return TEXTS.has(type.trim().toLowerCase()) ? `${type.trim()}; charset=UTF-8` : type;
}

const TEXTS: ReadonlySet<string> = new Set([
  'text/html',
  'text/xml',
  'text/plain',
  'text/vnd.wap.wml',
  'application/javascript',
  'application/rss+xml',
]);
