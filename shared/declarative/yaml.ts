import {
  type DocumentOptions,
  type ParseOptions,
  parseDocument,
  type ScalarTag,
  type SchemaOptions,
  stringify,
  YAMLParseError,
} from 'yaml';
import { prepare, YamlFault } from './yaml-nodes.ts';

/**
 * YAML as Kong's reader (lyaml, of YAML 1.1) understands it: which plain texts are no texts, and merge keys. A reader of
 * YAML 1.2 takes `yes`, `0777`, `1_000` and `12:30` for something else.
 */
const SCALARS: readonly ScalarTag[] = [
  {
    tag: 'tag:yaml.org,2002:null',
    default: true,
    test: /^(?:~|null|Null|NULL)?$/,
    identify: (value) => value === null || value === undefined,
    resolve: () => null,
    stringify: () => 'null',
  },
  {
    tag: 'tag:yaml.org,2002:bool',
    default: true,
    test: /^(?:true|True|TRUE|yes|Yes|YES|on|On|ON|false|False|FALSE|no|No|NO|off|Off|OFF)$/,
    identify: (value) => typeof value === 'boolean',
    resolve: (text) => /^(?:t|y|on)/i.test(text),
    stringify: ({ value }) => String(value),
  },
  integer(/^[-+]?0_*[0-7][0-7_]*$/, (digits) => Number.parseInt(digits, 8)),
  integer(/^[-+]?_*[0-9][0-9_]*$/, Number),
  float(/^[-+]?_*(?:[0-9][0-9_]*\.[0-9_]*|\._*[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9][0-9_]*)?$/, Number),
  float(/^(?:[-+]?\.(?:inf|Inf|INF))$/, () => Infinity),
  float(/^\.(?:nan|NaN|NAN)$/, () => Number.NaN),
  integer(/^[-+]?0x_*[0-9a-fA-F][0-9a-fA-F_]*$/, (digits) => Number.parseInt(digits, 16)),
  integer(/^[-+]?0b_*[01][01_]+$/, (digits) => Number.parseInt(digits.slice(2), 2)),
  integer(/^[-+]?[0-9]+:[0-5]?[0-9][:0-9]*$/, sexagesimal),
  float(/^[-+]?[0-9]+:[0-5]?[0-9][:0-9]*\.[0-9]+$/, (text) => {
    const point = text.lastIndexOf('.');
    return sexagesimal(text.slice(0, point)) + Number(text.slice(point));
  }),
  // What a tag in the document insists on.
  { tag: 'tag:yaml.org,2002:float', resolve: Number, stringify: ({ value }) => String(value) },
  { tag: 'tag:yaml.org,2002:int', resolve: Number, stringify: ({ value }) => String(value) },
];

/** What other readers take for something else than a text: Kong writes and reads none of it plain. */
const QUOTED: readonly ScalarTag[] = [
  { tag: 'tag:yaml.org,2002:int', default: true, test: /^[-+]?0o[0-7]+$/, resolve: (text) => text },
  {
    tag: 'tag:yaml.org,2002:timestamp',
    default: true,
    test: /^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}/,
    resolve: (text) => text,
  },
  { tag: 'tag:yaml.org,2002:merge', default: true, test: /^(?:<<|=)$/, resolve: (text) => text },
];

/** Reads one document. Throws an error that says what is wrong, and in which line. */
export function readYaml(text: string): unknown {
  const document = parseDocument(text, options(SCALARS));
  const [error] = document.errors;
  if (error !== undefined) throw new Error(told(error));
  try {
    prepare(document.contents);
    return document.toJS({ maxAliasCount: -1 });
  } catch (fault) {
    throw fault instanceof YamlFault ? new Error(`${fault.message} (line ${lineAt(text, fault.offset)})`) : fault;
  }
}

/** YAML that both kinds of reader understand alike. */
export function writeYaml(value: unknown): string {
  return stringify(value, { ...options([...SCALARS, ...QUOTED]), compat: 'yaml-1.1', lineWidth: 0 });
}

function options(scalars: readonly ScalarTag[]): ParseOptions & DocumentOptions & SchemaOptions {
  return {
    schema: 'failsafe',
    customTags: (tags) => [...tags, ...scalars],
    merge: true,
    // Looked at with the rest of what is read: the reader compares each with all before it.
    uniqueKeys: false,
    resolveKnownTags: false,
    logLevel: 'error',
  };
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

function told(error: Error): string {
  const where = error instanceof YAMLParseError && error.linePos ? ` (line ${error.linePos[0].line})` : '';
  return `${error.message.split('\n')[0]}${where}`;
}

function integer(test: RegExp, read: (digits: string) => number): ScalarTag {
  return number('int', test, read, Number.isInteger);
}

function float(test: RegExp, read: (digits: string) => number): ScalarTag {
  return number('float', test, read, (value) => !Number.isInteger(value));
}

/** `read` gets the text without underscores and sign. */
function number(
  name: 'int' | 'float',
  test: RegExp,
  read: (digits: string) => number,
  fits: (value: number) => boolean,
): ScalarTag {
  return {
    tag: `tag:yaml.org,2002:${name}`,
    default: true,
    test,
    identify: (value) => typeof value === 'number' && fits(value),
    resolve: (text) => {
      const plain = text.replaceAll('_', '');
      const value = read(plain.replace(/^[-+]/, ''));
      return plain.startsWith('-') ? -value : value;
    },
    stringify: ({ value }) => String(value),
  };
}

function sexagesimal(text: string): number {
  return (text.match(/[0-9]+/g) ?? []).reduce((sum, part) => sum * 60 + Number(part), 0);
}
