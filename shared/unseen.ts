/**
 * Control characters (`Cc`) rewrite terminals and end lines; format characters (`Cf`: direction marks, joiners of no width)
 * make two names look alike, or one look like another. Neither is taken in what names something.
 */
const UNSEEN = /[\p{Cc}\p{Cf}]/u;
const ALL_UNSEEN = /[\p{Cc}\p{Cf}]+/gu;

/** The first such character of a text as `U+202E`, or nothing. */
export function unseenCharacter(text: string): string | undefined {
  const [character] = UNSEEN.exec(text) ?? [];
  return character === undefined ? undefined : codePoint(character);
}

/** The text with blanks in their place. */
export function withoutUnseen(text: string): string {
  return text.replace(ALL_UNSEEN, ' ');
}

/** A character as Unicode names it: `U+000A`. */
export function codePoint(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}
