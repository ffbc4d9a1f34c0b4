/** The characters every match of an anchored pattern begins with; empty when that cannot be told. */
export function literalPrefix(pattern: string): string {
  if (!pattern.startsWith('^') || hasTopLevelChoice(pattern)) return '';
  let prefix = '';
  let at = 1;
  while (at < pattern.length) {
    const escaped = pattern[at] === '\\';
    const char = pattern[at + (escaped ? 1 : 0)] ?? '';
    if (escaped ? !/[!-/:-@[-`{-~]/.test(char) : /[\\^$.*+?()[\]{}|]/.test(char)) break;
    const next = at + (escaped ? 2 : 1);
    // A repeated character may be missing; a surrogate pair is repeated as a whole.
    if (/[*?{+]/.test(pattern[next] ?? '') || isHighSurrogate(char)) break;
    prefix += char;
    at = next;
  }
  return prefix;
}

function isHighSurrogate(char: string): boolean {
  return char >= '\ud800' && char <= '\udbff';
}

/** Whether there is a `|` outside of every group; one inside a class or escaped is mistaken for one, which is safe. */
function hasTopLevelChoice(pattern: string): boolean {
  let depth = 0;
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i];
    if (char === '\\') i++;
    else if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (char === '|' && depth <= 0) return true;
    // Parentheses in a class would be counted wrongly: give up.
    else if (char === '[' && /[()]/.test(pattern.slice(i, pattern.indexOf(']', i + 2) + 1 || undefined))) return true;
  }
  return /\\Q/.test(pattern);
}
