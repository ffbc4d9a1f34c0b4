import { isLogVariable, type LogFacts, variable } from './variables.ts';

/** How values are written into a line: nginx's `escape=` of `log_format`. */
export const ESCAPES = ['default', 'json', 'none'] as const;
export type Escape = (typeof ESCAPES)[number];

/** A line of an access log as nginx's `log_format` describes it: text with `$variables`. */
export interface LogFormat {
  readonly escape: Escape;
  /** Checked: every variable in it is known. */
  readonly text: string;
}

/** Where an access log goes: a file by its absolute path, `/dev/stdout` or `/dev/stderr`; and what its lines look like. */
export interface AccessLogFile {
  readonly path: string;
  readonly format: LogFormat;
}

/** Formats that are always there: Kong's own, nginx's, and the facts as one JSON object. */
export const KNOWN_FORMATS = {
  kong_log_format: {
    escape: 'default',
    text: '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" kong_request_id: "$kong_request_id"',
  },
  combined: {
    escape: 'default',
    text: '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"',
  },
  json: {
    escape: 'json',
    text: '{"time":"$time_iso8601","client":"$remote_addr","user":"$remote_user","method":"$request_method","uri":"$request_uri","protocol":"$server_protocol","host":"$host","status":$status,"bytes":"$body_bytes_sent","request_time":$request_time,"upstream":"$upstream_addr","upstream_status":"$upstream_status","upstream_time":"$upstream_response_time","route":"$route_name","service":"$service_name","consumer":"$consumer_name","referer":"$http_referer","user_agent":"$http_user_agent","request_id":"$kong_request_id"}',
  },
} as const satisfies Readonly<Record<string, LogFormat>>;

/** Kong's name of what it writes where no format is named. */
export const DEFAULT_FORMAT = 'kong_log_format';

const VARIABLE = /\$(?:\{([a-z0-9_]+)\}|([a-z0-9_]+))/gi;

/** The first variable of the text that is not known; null: all are. */
export function unknownVariable(text: string): string | null {
  for (const [, braced, plain] of text.matchAll(VARIABLE)) {
    const name = braced ?? plain ?? '';
    if (!isLogVariable(name)) return name;
  }
  return null;
}

/** Writes one line, without its end. */
export type LineWriter = (facts: LogFacts) => string;

/** The format as a function, made once. Throws for a variable that is not known. */
export function compileFormat({ escape: escaping, text }: LogFormat): LineWriter {
  const parts: (string | ((facts: LogFacts) => string | null))[] = [];
  let at = 0;
  for (const match of text.matchAll(VARIABLE)) {
    if (match.index > at) parts.push(text.slice(at, match.index));
    parts.push(variable(match[1] ?? match[2] ?? ''));
    at = match.index + match[0].length;
  }
  parts.push(text.slice(at));
  const escaped = ESCAPED[escaping];
  return (facts) => {
    const written = parts.map((part) => (typeof part === 'string' ? part : escaped(part(facts))));
    // In one piece: put together one by one, each line would keep all of its pieces until it is sent.
    return written.join('');
  };
}

/** What is not there is `-`, in JSON nothing. */
const ESCAPED: Readonly<Record<Escape, (value: string | null) => string>> = {
  default: (value) => (value === null || value === '' ? '-' : SPECIAL.test(value) ? hexed(value) : value),
  json: (value) => (value === null ? '' : JSON.stringify(value).slice(1, -1)),
  // A line stays one line, whatever a client sends.
  none: (value) => (value === null ? '' : value.replace(LINE_ENDS, ' ')),
};

/** Quotes, backslashes, control characters and all beyond ASCII: what nginx writes as `\xXX`. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to find.
const SPECIAL = /["\\\x00-\x1f\x7f-\uffff]/;
const LINE_ENDS = /[\r\n]/g;

function hexed(value: string): string {
  let written = '';
  for (const byte of new TextEncoder().encode(value)) {
    const plain = byte > 0x1f && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
    written += plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return written;
}
