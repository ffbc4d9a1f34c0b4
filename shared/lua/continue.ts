import { TOKEN } from './tokens.ts';

/** A piece of source that something else takes the place of. */
interface Edit {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** Between `do`, `then` and the like and its end. `head`: of a loop, before its `do`. */
interface Block {
  kind: 'loop' | 'head' | 'repeat' | 'function' | 'other';
  /** Behind `do`, or `function`. */
  body: number;
  /** The loops of the innermost function, from outside to inside; null: not asked for yet. */
  loops: readonly Block[] | null;
  /** Numbers of the loops around this one that are gone on with from within it. */
  readonly left: Set<number>;
  readonly breaks: Word[];
  /** The label at its end, with the number that its variables have. */
  label: { readonly number: number; readonly at: Edit } | null;
}

interface Word {
  readonly text: string;
  readonly from: number;
  readonly to: number;
}

interface Goto {
  readonly label: string;
  readonly from: number;
  readonly to: number;
  /** The loops it is in, up to its function, the innermost last. */
  readonly loops: readonly Block[];
}

/**
 * Lua 5.1 without `goto`: one that leads to a label at the end of a loop's body, which goes on with the loop's next turn, becomes a
 * `break` out of a loop that runs once, around the body. Lines stay where they are. Throws `fail` for any other.
 */
export function withoutContinue(source: string, fail: (offset: number, what: string) => Error): string {
  const words: Word[] = [...source.matchAll(TOKEN)].flatMap(({ index, groups: { word, label } = {} }) => {
    const text = word ?? label;
    return text === undefined ? [] : [{ text, from: index, to: index + text.length }];
  });
  const blocks: Block[] = [newBlock('function', 0)];
  const begin = (kind: Block['kind'], { from, to }: Word): void => {
    if (blocks.length > MOST_LEVELS) throw fail(from, 'chunk has too many syntax levels');
    blocks.push(newBlock(kind, to));
  };
  const edits: Edit[] = [];
  const loops: [Block, Word][] = [];
  /** In the order they stand in. */
  const open: Goto[] = [];
  let count = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    const top = blocks.at(-1);
    if (word === undefined || top === undefined) break;
    const next = words[i + 1];
    switch (word.text) {
      case 'function':
      case 'repeat':
        begin(word.text, word);
        break;
      case 'if':
        begin('other', word);
        break;
      case 'for':
      case 'while':
        begin('head', word);
        break;
      case 'do':
        if (top.kind === 'head') {
          top.kind = 'loop';
          top.body = word.to;
          top.loops = null;
        } else begin('other', word);
        break;
      case 'break':
        loopsOf(blocks).at(-1)?.breaks.push(word);
        break;
      case 'goto':
        if (next === undefined || !NAME.test(next.text) || !BLANK.test(source.slice(word.to, next.from)))
          throw fail(word.from, `'goto' is no name here`);
        open.push({ label: next.text, from: word.from, to: next.to, loops: loopsOf(blocks) });
        i += 1;
        break;
      case '::': {
        const end = words[i + 2];
        if (next === undefined || end?.text !== '::') throw fail(word.from, "'::' is no label here");
        const closer = words[i + 3];
        const last = closer?.text === 'end' && isNothing(source.slice(end.to, closer.from));
        if (top.kind !== 'loop' || !last || top.label !== null) throw fail(word.from, ELSEWHERE(next.text));
        const since = open.findLastIndex(({ from }) => from < top.body) + 1;
        const [came, others] = [[] as Goto[], [] as Goto[]];
        for (const each of open.splice(since)) (each.label === next.text ? came : others).push(each);
        for (const each of others) open.push(each);
        count += 1;
        top.label = { number: count, at: { from: word.from, to: end.to, text: '' } };
        for (const each of came) {
          const within = each.loops.slice(each.loops.indexOf(top) + 1);
          const crossed = within.find(({ kind }) => kind === 'repeat');
          if (crossed !== undefined) throw fail(each.from, ELSEWHERE(next.text));
          for (const loop of within) loop.left.add(count);
          const mark = within.length === 0 ? '' : `${goes(count)} = true `;
          edits.push({ from: each.from, to: each.to, text: `do ${mark}break end` });
        }
        i += 2;
        break;
      }
      case 'until':
      case 'end': {
        blocks.pop();
        // What leads nowhere in its function leads nowhere.
        const lost = top.kind === 'function' ? open.at(-1) : undefined;
        if (lost !== undefined && lost.from >= top.body) throw fail(lost.from, ELSEWHERE(lost.label));
        // Where it is left for is known once those around it have ended, too.
        if (top.kind === 'loop') loops.push([top, word]);
      }
    }
  }
  const [lost] = open;
  if (lost !== undefined) throw fail(lost.from, ELSEWHERE(lost.label));
  return edited(source, [...edits, ...loops.flatMap(([loop, end]) => closed(loop, end))]);
}

/** What becomes of a loop at its `end`. */
function closed({ body, label, breaks, left }: Block, { to }: Word): Edit[] {
  const leaving = [...left].map(goes);
  const after = leaving.length === 0 ? [] : [{ from: to, to, text: ` if ${leaving.join(' or ')} then break end` }];
  if (label === null) return after;
  const { number, at } = label;
  const broken = `_broken_${number}`;
  const out = [...(breaks.length > 0 ? [broken] : []), ...leaving];
  return [
    { from: body, to: body, text: ` local ${broken}, ${goes(number)} repeat` },
    ...breaks.map((word) => ({ from: word.from, to: word.to, text: `do ${broken} = true break end` })),
    { ...at, text: `until true${out.length > 0 ? ` if ${out.join(' or ')} then break end` : ''}` },
    ...after,
  ];
}

const goes = (number: number): string => `_goes_on_${number}`;

const NAME = /^[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*$/;
const BLANK = /^\s+$/;
/** As Lua counts blocks in each other (`LUAI_MAXCCALLS`), and refuses more. */
const MOST_LEVELS = 200;
const ELSEWHERE = (label: string): string =>
  `'goto ${label}' is taken only where it goes on with a loop: its label must be the last thing in the body of a for or while`;

/** Whether nothing is done in what stands between a label and the `end` of its block. */
function isNothing(text: string): boolean {
  return /^[\s;]*$/.test(text.replace(TOKEN, (token) => (token.startsWith('--') ? '' : token)));
}

function newBlock(kind: Block['kind'], body: number): Block {
  return { kind, body, loops: null, left: new Set(), breaks: [], label: null };
}

/** The loops of the innermost function, from outside to inside. */
function loopsOf(blocks: readonly Block[]): readonly Block[] {
  const top = blocks.at(-1);
  if (top === undefined) return [];
  if (top.loops === null) {
    const own = blocks.slice(blocks.findLastIndex(({ kind }) => kind === 'function') + 1);
    top.loops = own.filter(({ kind }) => kind === 'loop' || kind === 'repeat');
  }
  return top.loops;
}

function edited(source: string, edits: readonly Edit[]): string {
  let result = '';
  let at = 0;
  for (const { from, to, text } of edits.toSorted((a, b) => a.from - b.from)) {
    result += source.slice(at, from) + text;
    at = to;
  }
  return result + source.slice(at);
}
