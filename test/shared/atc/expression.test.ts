import { describe, expect, it } from 'vitest';
import { checkExpression } from '../../../shared/atc/check.ts';
import { parseExpression } from '../../../shared/atc/parser.ts';
import { printExpression } from '../../../shared/atc/print.ts';

const reprinted = (source: string): string => printExpression(parseExpression(source));

describe('reads', () => {
  it.each([
    ['|| tighter than &&', 'a == 1 && b != 2 || c >= 3', 'a == 1 && (b != 2 || c >= 3)'],
    ['chains from left to right', 'a > 1 || b < 2 && c <= 3 || d == 4', '(a > 1 || b < 2) && (c <= 3 || d == 4)'],
    ['! before parentheses', '!(a == 1) && b == 2', '!(a == 1) && b == 2'],
    [
      'integers in three bases',
      'a == 0x1F && b == 017 && c == -12 && d == 0 && e == 09',
      'a == 31 && b == 15 && c == -12 && d == 0 && e == 9',
    ],
    ['escapes', String.raw`a == "q\" b\\ \n\r\t"`, 'a == r#"q" b\\ \n\r\t"#'],
    ['raw strings', 'a == r#"a "quoted" \\d"#', 'a == r#"a "quoted" \\d"#'],
    ['"# as an escaped string', String.raw`a == "x\"#\\"`, String.raw`a == "x\"#\\"`],
    [
      'functions in any order',
      'lower(any(a)) == "x" || any( lower(a) ) == "x"',
      'any(lower(a)) == r#"x"# || any(lower(a)) == r#"x"#',
    ],
    ['addresses', 'a == 10.0.0.1 && b == fe80::1 && c == ::', 'a == 10.0.0.1 && b == fe80::1 && c == ::'],
    ['blocks', 'a in 10.0.0.0/8 && b not \n in 2001:DB8::/32', 'a in 10.0.0.0/8 && b not in 2001:db8::/32'],
    ['no white space at all', 'a=="x"&&(b~"y"||c^="z")', 'a == r#"x"# && (b ~ r#"y"# || c ^= r#"z"#)'],
    ['contains and postfix', 'a contains "x" && b =^ "y"', 'a contains r#"x"# && b =^ r#"y"#'],
  ])('%s', (_, source, expected) => {
    expect(reprinted(source)).toBe(expected);
    expect(reprinted(expected)).toBe(expected);
  });
});

describe('says where and what is wrong', () => {
  it.each([
    ['', '1:1', 'expected a field, a function, ! or ('],
    ['http.path', '1:10', 'expected an operator'],
    ['http.path == ', '1:14', 'expected a string, an integer'],
    ['http.path == "/a" http.host', '1:19', 'expected &&, || or the end'],
    ['(http.path == "/a"', '1:19', 'expected &&, || or )'],
    ['http.path == "/a" ||\n  ! http.host == "a"', '2:5', 'expected ( after !'],
    ['http.path == "/a', '1:14', 'string is not closed'],
    ['http.path == r#"/a"', '1:14', 'raw string is not closed'],
    ['http.path == "/a\\x"', '1:17', 'unknown escape'],
    ['http.path == "é" && ?', '1:21', 'unexpected character'],
    ['upper(http.path) == "/a"', '1:1', 'unknown transformation function: upper'],
    ['lower(http.path == "/a"', '1:17', 'expected )'],
    ['net.src.ip == 300.0.0.1', '1:15', 'invalid IP address'],
    ['net.src.ip in 10.0.0.1/8', '1:15', 'host part of address was not zero'],
    ['net.src.ip in 10.0.0.0/33', '1:15', 'invalid CIDR block'],
    ['net.src.port == 9223372036854775808', '1:17', 'number too large'],
    ['http.path.nope == "a"', '1:1', 'Unknown LHS field'],
    ['http.headers.a.b == "a"', '1:1', 'Unknown LHS field'],
    ['http.path == "/a" && net.src.port == "x"', '1:22', 'Type mismatch between the LHS and RHS'],
    ['lower(net.src.port) == 1', '1:1', 'lower-case transformation function only supported with String'],
    ['http.path > 1', '1:1', 'Type mismatch'],
    ['http.path > "a"', '1:1', 'only supports integer operands'],
    ['net.src.ip in 10.0.0.1', '1:1', 'only supports IP in CIDR'],
    ['net.src.port ~ "1"', '1:1', 'Regex operators only supports string'],
    ['net.src.port ^= 1', '1:1', 'Prefix/Postfix operators only supports string'],
    ['http.path.segments.1_0 == "a"', '1:1', 'illformed http.path.segments.* field'],
    ['http.path.segments.00 == "a"', '1:1', 'illformed http.path.segments.* field'],
    ['http.path.segments.x == "a"', '1:1', 'illformed http.path.segments.* field'],
    ['http.path ~ "/(?=a)"', '1:1', 'invalid or unsupported'],
    ['http.path ~ "/(a"', '1:1', 'missing closing )'],
  ])('%j', (source, place, problem) => {
    const error = checkExpression(source) ?? '';
    expect(error).toContain(`--> ${place}\n`);
    expect(error).toContain(problem);
  });

  it('shows the line and underlines the part', () => {
    expect(checkExpression('http.path == "/a" &&\nnet.src.port == "x"')).toBe(
      [
        ' --> 2:1',
        '  |',
        '2 | net.src.port == "x"',
        '  | ^-----------------^',
        '  |',
        '  = Type mismatch between the LHS and RHS values of predicate',
      ].join('\n'),
    );
  });

  it('refuses nesting without end instead of running out of stack', () => {
    expect(checkExpression('('.repeat(100_000))).toContain('nested too deeply');
    expect(checkExpression(`${'lower('.repeat(100_000)}`)).toContain('nested too deeply');
  });
});

it.each([
  'http.path.segments.len > 2 && http.path.segments.0 == "a" && http.path.segments.1_3 == "b/c/d"',
  'any(lower(http.headers.x_ver)) ~ "^v[0-9]+$" && http.queries.q != ""',
  'edge.country == "DE" || edge.asn == 64512',
  'net.port == 80 && tls.sni =^ ".a"',
])('accepts %s', (source) => {
  expect(checkExpression(source)).toBeUndefined();
});

it('knows only connection fields on stream routes', () => {
  expect(checkExpression('net.dst.port == 443 && tls.sni == "a"', 'stream')).toBeUndefined();
  expect(checkExpression('http.path == "/"', 'stream')).toContain('Unknown LHS field');
});
