/** A text in quotes up to its last one, or as far as it goes. */
const opened = (quote: string): string => String.raw`${quote}(?:\\z\s*(?!\s)|\\[^z]|[^${quote}\\\n])*`;

/**
 * Tokens of Lua: comments and strings whole, so that nothing is looked for in them; of the rest names, keywords, numbers and `::`. Each piece
 * of a string can be read in one way alone: of one that never ends there would be very many otherwise, and all be tried. Such a string is
 * gone past as a whole: all that is in it might begin another.
 */
export const TOKEN = new RegExp(
  [
    String.raw`--\[(?<c>=*)\[[\s\S]*?(?:\]\k<c>\]|$)`,
    String.raw`--[^\n]*`,
    String.raw`\[(?<l>=*)\[[\s\S]*?(?:\]\k<l>\]|$)`,
    `(?<text>${opened('"')}"|${opened("'")}')`,
    `${opened('"')}|${opened("'")}`,
    String.raw`(?<number>(?:0[xX][\da-fA-F.]+(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:[uU]?[lL][lL]|[iI])?)`,
    String.raw`(?<word>[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)`,
    '(?<label>::)',
  ].join('|'),
  'g',
);
