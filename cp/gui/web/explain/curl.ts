/** A request as `POST /debug/route` takes its description. */
export interface DescribedRequest {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  readonly host: string | null;
  readonly path: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
}

/** Options of curl that a value follows, besides those that say something of the request. */
const VALUED = new Set(
  '-o --output -m --max-time --connect-timeout --resolve --connect-to -x --proxy --cacert --capath --cert -E --key -w --write-out -e --referer -c --cookie-jar -K --config -T --upload-file --retry --retry-delay --retry-max-time --interface --limit-rate -D --dump-header -Y -y -C -r --range -z --ciphers --tls-max --unix-socket --noproxy --aws-sigv4 --oauth2-bearer -F --form --form-string'.split(
    ' ',
  ),
);
const DATA = new Set(['-d', '--data', '--data-raw', '--data-binary', '--data-ascii', '--data-urlencode', '--json']);
const FORM = new Set(['-F', '--form', '--form-string']);

/** The request that a line with curl makes. Throws an error that says what is missing. */
export function requestOfCurl(line: string): DescribedRequest {
  const words = shellWords(line);
  if (words[0] === '$') words.shift();
  if (words[0] !== 'curl') throw new Error('The line must begin with curl.');
  let method: string | null = null;
  let implied = 'GET';
  let url: string | null = null;
  const headers = new Map<string, string[]>();
  const add = (name: string, value: string) =>
    headers.set(name.toLowerCase(), [...(headers.get(name.toLowerCase()) ?? []), value]);
  for (let at = 1; at < words.length; at++) {
    const word = words[at] ?? '';
    if (!word.startsWith('-') || word === '-') {
      url ??= word;
      continue;
    }
    const [name, attached] = optionOf(word);
    // Of letters in one word, those before the last take no value.
    if (/^-[a-zA-Z]*G/.test(word)) method ??= 'GET';
    const value = (): string => attached ?? words[++at] ?? '';
    if (name === '-X' || name === '--request') method = value();
    else if (name === '--url') url = value();
    else if (name === '-I' || name === '--head') implied = 'HEAD';
    else if (name === '-G' || name === '--get') method ??= 'GET';
    else if (name === '-A' || name === '--user-agent') add('user-agent', value());
    else if (name === '-b' || name === '--cookie') add('cookie', value());
    else if (name === '-u' || name === '--user') add('authorization', `Basic ${base64(value())}`);
    else if (name === '-H' || name === '--header') {
      const [, header = '', text = ''] = /^([^:;]+)[:;]\s*(.*)$/s.exec(value()) ?? [];
      if (header !== '') add(header.trim(), text);
    } else if (DATA.has(name)) {
      value();
      implied = 'POST';
      if (name === '--json') add('content-type', 'application/json');
    } else if (VALUED.has(name)) {
      value();
      if (FORM.has(name)) implied = 'POST';
    }
  }
  if (url === null) throw new Error('The line has no address.');
  const whole = /^[a-z]+:\/\//i.test(url) ? url : `http://${url}`;
  if (!URL.canParse(whole)) throw new Error(`'${url}' is no address.`);
  const { protocol, host, pathname, search } = new URL(whole);
  if (protocol !== 'http:' && protocol !== 'https:') throw new Error('The address must be one of http or https.');
  const named = headers.get('host')?.at(-1);
  headers.delete('host');
  return {
    method: (method ?? implied).toUpperCase(),
    scheme: protocol === 'https:' ? 'https' : 'http',
    host: named ?? host,
    path: pathname + search,
    headers: Object.fromEntries(headers),
  };
}

/** Of a text as curl sends it: in UTF-8, whatever alphabet it is in. */
const base64 = (text: string): string => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** `-XPOST` and `--request=POST` have their values with them; of `-sSX` the last letter counts. */
function optionOf(word: string): readonly [name: string, attached: string | undefined] {
  if (word.startsWith('--')) {
    const [name = '', ...rest] = word.split('=');
    return [name, rest.length === 0 ? undefined : rest.join('=')];
  }
  for (let at = 1; at < word.length; at++) {
    const letter = `-${word[at]}`;
    if (TAKING.has(letter)) return [letter, at + 1 < word.length ? word.slice(at + 1) : undefined];
  }
  return [word.includes('I') ? '-I' : word.includes('G') ? '-G' : word, undefined];
}

const TAKING = new Set([...VALUED, '-X', '-A', '-b', '-u', '-H', '-d'].filter((name) => /^-[a-zA-Z]$/.test(name)));

/** The words of a line, as a POSIX shell takes them apart. */
function shellWords(line: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let at = 0; at < line.length; at++) {
    const character = line.charAt(at);
    if (character === "'") {
      const end = line.indexOf("'", at + 1);
      if (end < 0) throw new Error("A ' has no end.");
      word = (word ?? '') + line.slice(at + 1, end);
      at = end;
    } else if (character === '"') {
      let end = at + 1;
      let inside = '';
      while (end < line.length && line.charAt(end) !== '"') {
        if (line.charAt(end) === '\\' && /["\\$`\n]/.test(line.charAt(end + 1))) end++;
        inside += line.charAt(end++);
      }
      if (end >= line.length) throw new Error('A " has no end.');
      word = (word ?? '') + inside;
      at = end;
    } else if (character === '\\') {
      at++;
      if (line.charAt(at) === '\r') at++;
      if (line.charAt(at) !== '\n') word = (word ?? '') + line.charAt(at);
    } else if (/\s/.test(character)) {
      if (word !== null) words.push(word);
      word = null;
    } else word = (word ?? '') + character;
  }
  if (word !== null) words.push(word);
  return words;
}
