/** Characters that write nothing, or turn around what stands beside them: shown by their number. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A text that somebody else wrote as one line that says what is in it, `most` characters at most. */
export function plain(text: string, most = 200): string {
  const shown = text.length > most ? `${text.slice(0, most)}… (${text.length.toLocaleString('en')} characters)` : text;
  return shown.replace(UNSEEN, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `‹U+${code.toString(16).toUpperCase().padStart(4, '0')}›`;
  });
}
