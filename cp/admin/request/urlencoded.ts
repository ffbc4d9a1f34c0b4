/** One decoded `name=value`; without `=` the value is empty. */
export type Argument = readonly [name: string, value: string];

/** Kong's limit for query strings and for forms. */
export const MAX_ARGUMENTS = 1000;

const lossy = new TextDecoder();
/** Throws TypeError at bytes that are no UTF-8. */
export const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * The arguments of a query string or an `application/x-www-form-urlencoded` body, in order. Broken percent-encoding
 * is kept as it stands, as nginx does. Throws TypeError when what is encoded is not UTF-8: it could not be stored as
 * it was sent.
 */
export function parseUrlencoded(text: string): Argument[] {
  const args: Argument[] = [];
  for (const pair of text.split('&')) {
    const equals = pair.indexOf('=');
    if (pair === '' || equals === 0) continue;
    args.push(
      equals === -1
        ? [unescapeArgument(pair), '']
        : [unescapeArgument(pair.slice(0, equals)), unescapeArgument(pair.slice(equals + 1))],
    );
  }
  return args;
}

function unescapeArgument(text: string): string {
  return unescapePercent(text.includes('+') ? text.replaceAll('+', ' ') : text, strictUtf8);
}

/** Percent-decoding that never fails unless its decoder does: `%zz` stays, bytes that are not UTF-8 become U+FFFD. */
export function unescapePercent(text: string, decoder = lossy): string {
  if (!text.includes('%')) return text;
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) =>
    decoder.decode(
      Uint8Array.from({ length: run.length / 3 }, (_, i) => Number.parseInt(run.slice(i * 3 + 1, i * 3 + 3), 16)),
    ),
  );
}
