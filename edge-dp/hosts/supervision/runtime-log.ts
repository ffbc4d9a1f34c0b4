import { Lately } from '../../../shared/lately.ts';
import { NOTICE, outputOf } from '../../notice.ts';
import type { Log } from './run.ts';

/**
 * Reads the structured logs of a node's processes: the Worker's lines as they are, the runtime's in our words and
 * once for a while, since every connection that fails, and every attempt to make one, brings several.
 */
export class RuntimeLog {
  readonly #log: Log;
  #told = new Lately();

  constructor(log: Log) {
    this.#log = log;
  }

  /** One line of workerd's structured log: what the Worker says with `console`, or what the runtime itself reports. */
  line(line: string): void {
    const entry = parse(line);
    // A crash, or an error in the config: the line itself is the message.
    if (entry === null) this.#log('warn', line);
    else if (entry.message.startsWith(NOTICE)) this.#notice(entry.message.slice(NOTICE.length));
    else {
      const output = outputOf(entry.message);
      if (output !== null) {
        this.#log(output.level, output.text);
        return;
      }
      const words = entry.level === 'info' ? null : runtimeWords(entry.message);
      if (words === null) this.#log(entry.level, entry.message);
      else if (this.#told.isNew(words)) this.#log('warn', words);
    }
  }

  #notice(message: string): void {
    // Something has changed: what goes wrong from now on is worth telling, also if it is the same.
    this.#told = new Lately();
    this.#log('notice', message);
  }
}

function parse(line: string): { readonly level: 'info' | 'warn' | 'error'; readonly message: string } | null {
  try {
    const { level, message }: { level?: unknown; message?: unknown } = Object(JSON.parse(line));
    if (typeof message !== 'string') return null;
    const known = level === 'error' || level === 'warn' ? level : 'info';
    return { level: known, message: message.replace(NATIVE_STACK, '') };
  } catch {
    return null;
  }
}

/** What a line of the runtime says to people; null for a line that is none of it. SQLite's have their own reader. */
function runtimeWords(message: string): string | null {
  const [, text] = /^(?:e = )?\S+\.(?:c\+\+|h):\d+: (.*)$/s.exec(message) ?? [];
  if (text === undefined || text.includes('SQLite')) return null;
  const [, untrusted] = /TLS peer's certificate is not trusted; reason = ([^;]*)/.exec(text) ?? [];
  if (untrusted !== undefined) return `a TLS connection was not made: the certificate is not trusted (${untrusted})`;
  const [, openssl] = /OpenSSL error; message = error:[^;]*:([A-Z0-9_]+)/.exec(text) ?? [];
  if (openssl !== undefined) return `a TLS connection was not made: ${opensslWords(openssl)}`;
  return `the runtime says: ${text.replace(/; (?:sentryErrorContext|wdErrId) = [^;]*/g, '')}`;
}

/** By the name of BoringSSL's reason. */
function opensslWords(reason: string): string {
  if (NOT_TLS.has(reason)) return 'the other side does not speak TLS';
  const [, alert] = /^(?:TLSV1|SSLV3|TLSV13)_ALERT_(.*)$/.exec(reason) ?? [];
  const words = (alert ?? reason).toLowerCase().replaceAll('_', ' ');
  return alert === undefined ? words : `the other side refuses it (${words})`;
}

const NOT_TLS: ReadonlySet<string> = new Set(['WRONG_VERSION_NUMBER', 'HTTP_REQUEST', 'HTTPS_PROXY_REQUEST']);

/** Addresses in the executable: nothing to anyone who reads a log. */
const NATIVE_STACK = /\nstack:.*@[0-9a-f]+/g;
