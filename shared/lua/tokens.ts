/** Tokens of Lua: comments and strings whole, so that nothing is looked for in them; of the rest names, keywords, numbers and `::`. */
export const TOKEN = new RegExp(
  [
    String.raw`--\[(?<c>=*)\[[\s\S]*?(?:\]\k<c>\]|$)`,
    String.raw`--[^\n]*`,
    String.raw`\[(?<l>=*)\[[\s\S]*?(?:\]\k<l>\]|$)`,
    String.raw`(?<text>"(?:\\z\s*|\\[\s\S]|[^"\\\n])*"|'(?:\\z\s*|\\[\s\S]|[^'\\\n])*')`,
    String.raw`(?<number>(?:0[xX][\da-fA-F.]+(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:[uU]?[lL][lL]|[iI])?)`,
    String.raw`(?<word>[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)`,
    '(?<label>::)',
  ].join('|'),
  'g',
);
