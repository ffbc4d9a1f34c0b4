import { charSet, intersects } from '../../shared/atc/char-set.ts';
import { type Item, inline, parseSimpleRegex } from '../../shared/atc/regex-syntax.ts';

/** A path segment, counted from 0, that is the same in every path a pattern matches. */
interface LiteralSegment {
  readonly index: number;
  readonly text: string;
}

const SLASH = charSet('/');

/**
 * The fixed segments behind the first variable one; those in front of it are the pattern's literal prefix. Empty when
 * the pattern is not simple enough to count its segments.
 */
export function literalSegments(pattern: string): LiteralSegment[] {
  const items = parseSimpleRegex(pattern)?.flatMap(inline) ?? [];
  const [first, ...rest] = items;
  if (first?.kind !== 'char' || first.literal !== '/') return [];
  const found: LiteralSegment[] = [];
  let index = 0;
  let varies = false;
  let text: string | null = '';
  const close = (): void => {
    if (text && varies) found.push({ index, text });
    if (text === null) varies = true;
  };
  for (const item of rest) {
    if (item.kind === 'end') {
      close();
      break;
    }
    if (item.kind === 'char' && item.literal === '/') {
      close();
      index++;
      text = '';
    } else if (item.kind === 'char' && item.literal !== null) {
      text = text === null ? null : text + item.literal;
    } else if (staysInSegment(item)) {
      text = null;
    } else {
      break;
    }
  }
  return found;
}

function staysInSegment(item: Item): boolean {
  if (item.kind === 'end') return false;
  if (item.kind === 'char') return !intersects(item.set, SLASH);
  return item.alternatives.every((branch) => branch.every(staysInSegment));
}
