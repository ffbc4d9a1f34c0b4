import {
  DEFAULT_FORMAT,
  ESCAPES,
  KNOWN_FORMATS,
  type LogFormat,
  unknownVariable,
} from '../../shared/access-log/format.ts';
import type { Property } from './property.ts';

/** Where an access log goes, and the name of its format; nginx's `access_log` of the listener. */
export interface AccessLogTarget {
  /** `/dev/stdout`, `/dev/stderr` or of a file; a relative one begins in `prefix`. */
  readonly path: string;
  readonly format: string;
}

/** `off`, or a path and the name of a format. */
export function accessLog(initial: string): Property<AccessLogTarget | 'off'> {
  return {
    default: initial,
    allowed: `'off', or a path ('/dev/stdout' too), with the name of a format behind it (${FORMAT_NAMES}, or that of nginx_http_log_format)`,
    secret: false,
    parse: (value) => {
      if (value === 'off') return 'off';
      const [path = '', format = DEFAULT_FORMAT, ...rest] = value.split(/\s+/);
      // Of nginx's other destinations and options there are none.
      if (rest.length > 0 || path.startsWith('syslog:') || format.includes('=') || path.includes('\0'))
        return undefined;
      return { path, format };
    },
  };
}

const FORMAT_NAMES = Object.keys(KNOWN_FORMATS)
  .map((name) => `'${name}'`)
  .join(', ');

/** A format of one's own, in nginx's notation. */
export interface NamedFormat {
  readonly name: string;
  readonly format: LogFormat;
}

/** nginx's `log_format` directive behind its first word: a name, perhaps `escape=…`, and the text in quotes. */
export function logFormat(): Property<NamedFormat | null> {
  return {
    default: null,
    allowed: `a name, 'escape=default', 'escape=json' or 'escape=none' if need be, and text in quotes with nginx's variables of requests, such as show '$remote_addr $request $status'`,
    secret: false,
    parse: (value) => {
      const [, name = '', escaping = 'default', texts = ''] =
        /^([\w-]+)\s+(?:escape=(\w+)\s+)?((?:(?:'[^']*'|"[^"]*")\s*)+);?$/.exec(value) ?? [];
      const known = ESCAPES.find((one) => one === escaping);
      const text = [...texts.matchAll(/'([^']*)'|"([^"]*)"/g)].map(([, one, two]) => one ?? two ?? '').join('');
      if (name === '' || text === '' || known === undefined || unknownVariable(text) !== null) return undefined;
      return { name, format: { escape: known, text } };
    },
  };
}

/** A format by its name; null: there is none of that name. */
export function formatNamed(name: string, own: NamedFormat | null): LogFormat | null {
  if (own?.name === name) return own.format;
  return Object.hasOwn(KNOWN_FORMATS, name) ? KNOWN_FORMATS[name as keyof typeof KNOWN_FORMATS] : null;
}
