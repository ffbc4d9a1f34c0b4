import { readYaml } from './yaml.ts';

/** Characters read at a time: what a reader makes of more would take a hundred times their memory, and keep the thread from its other work. */
const PART = 1 << 16;
/** Shorter documents are read at once. */
const LONG = 1 << 20;
/** Sections of a document that has any more are looked at as a whole. */
const MOST_SECTIONS = 200;

/** A document that has to be read at once, and is too long for that. */
export class TooMuchAtOnce extends Error {
  override readonly name = 'TooMuchAtOnce';
}

/** Whether there is memory to read a text at once. */
export type FitsAtOnce = (text: string) => boolean;

/** An anchor or an alias, which may be meant by any other part; also what may only look like one. */
const SHARED = /(?:^|[\s,[{:-])[&*][^\s,\]}]/m;
/** The name at the beginning of a section, and nothing else in its line. */
const LIST_OF = /^([A-Za-z_][\w-]*):[ \t]*(?:#.*)?$/;
const NAME = /^([A-Za-z_][\w-]*):(?:\s|$)/;

/**
 * What `readYaml` gives, and throws. A long document whose lists stand plainly below names at its margin, as entities do, is read some
 * entries at a time, with turns for other work in between. Throws `TooMuchAtOnce`, too.
 */
export async function readYamlInParts(
  text: string,
  { long = LONG, part = PART, fits = (): boolean => true }: { long?: number; part?: number; fits?: FitsAtOnce } = {},
): Promise<unknown> {
  const atOnce = (some: string): unknown => {
    if (some.length >= LONG && !fits(some)) throw new TooMuchAtOnce();
    return readYaml(some);
  };
  const sections = text.length < long || SHARED.test(text) ? null : sectionsOf(text);
  if (sections === null) return atOnce(text);
  const whole: Record<string, unknown> = {};
  try {
    for (const section of sections) {
      if (Object.hasOwn(whole, section.name)) return atOnce(text);
      whole[section.name] =
        section.column === null
          ? sectionValue(section.name, section.text, atOnce)
          : await listOf(section, part, atOnce);
    }
  } catch {
    // Told with its line, which only the whole document has.
    return atOnce(text);
  }
  return whole;
}

interface Section {
  readonly name: string;
  readonly text: string;
  /** At which the entries of its list begin; null: it is no list, or not plainly one. */
  readonly column: number | null;
}

/** Null for what is not plainly made of names at the margin. */
function sectionsOf(text: string): Section[] | null {
  const starts: number[] = [];
  for (const { start, line } of linesOf(text)) {
    if (line === '' || /^(?:[\s#]|-(?:\s|$))/.test(line)) continue;
    if (line === '---' && starts.length === 0) continue;
    if (!NAME.test(line) || starts.length === MOST_SECTIONS) return null;
    starts.push(start);
  }
  const [first = 0] = starts;
  if (starts.length === 0 || text.slice(0, first).split(/\r?\n/).some(isContent)) return null;
  return starts.map((start, place) => {
    const own = text.slice(start, starts[place + 1]);
    return { name: NAME.exec(own)?.[1] ?? '', text: own, column: columnOf(own) };
  });
}

const isContent = (line: string): boolean => !/^(?:\s*(?:#.*)?|---)$/.test(line);

function columnOf(section: string): number | null {
  let isFirst = true;
  for (const { line } of linesOf(section)) {
    if (isFirst && !LIST_OF.test(line)) return null;
    if (!isFirst && isContent(line)) return /^( *)-(?: |$)/.exec(line)?.[1]?.length ?? null;
    isFirst = false;
  }
  return null;
}

/** The entries of a list, of which each begins with a dash in its column: what belongs to one stands further right. */
async function listOf(
  { name, text, column }: Section,
  part: number,
  atOnce: (text: string) => unknown,
): Promise<unknown[]> {
  const dash = `${' '.repeat(column ?? 0)}-`;
  const entries: unknown[] = [];
  let begun: number | null = null;
  const take = async (from: number, to?: number): Promise<void> => {
    const some = sectionValue(name, `${name}:\n${text.slice(from, to)}`, atOnce);
    if (!Array.isArray(some)) throw new Error('no list');
    for (const entry of some) entries.push(entry);
    await new Promise((resolve) => setTimeout(resolve));
  };
  for (const { start, line } of linesOf(text)) {
    if (!line.startsWith(dash) || (line.length > dash.length && line[dash.length] !== ' ')) continue;
    if (begun !== null && start - begun < part) continue;
    if (begun !== null) await take(begun, start);
    begun = start;
  }
  if (begun !== null) await take(begun);
  return entries;
}

function sectionValue(name: string, text: string, atOnce: (text: string) => unknown): unknown {
  const read = atOnce(text);
  if (typeof read !== 'object' || read === null || Object.keys(read).join() !== name) throw new Error('no such name');
  return Reflect.get(read, name);
}

function* linesOf(text: string): Iterable<{ readonly start: number; readonly line: string }> {
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start);
    const next = end === -1 ? text.length : end + 1;
    yield { start, line: text.slice(start, end === -1 ? next : end).replace(/\r$/, '') };
    start = next;
  }
}
