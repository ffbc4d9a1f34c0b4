/**
 * Tokens of Lua: comments and strings whole, so that nothing is looked for in them; of the rest names, keywords, numbers and `::`. Each piece
 * of a string can be read in one way alone: of one that never ends there would be very many otherwise, and all be tried.
 */
export const TOKEN = new RegExp(
  [
    String.raw`--\[(?<c>=*)\[[\s\S]*?(?:\]\k<c>\]|$)`,
    String.raw`--[^\n]*`,
    String.raw`\[(?<l>=*)\[[\s\S]*?(?:\]\k<l>\]|$)`,
    String.raw`(?<text>"(?:\\z\s*(?!\s)|\\[^z]|[^"\\\n])*"|'(?:\\z\s*(?!\s)|\\[^z]|[^'\\\n])*')`,
    String.raw`(?<number>(?:0[xX][\da-fA-F.]+(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:[uU]?[lL][lL]|[iI])?)`,
    String.raw`(?<word>[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)`,
    '(?<label>::)',
  ].join('|'),
  'g',
);
