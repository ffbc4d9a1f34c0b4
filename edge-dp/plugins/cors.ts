import { compilePattern, type Regex, wholePattern } from '../../shared/atc/regex.ts';
import type { CorsConfig } from '../../shared/plugins/cors.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import type { HeaderFields } from '../http/fields.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';
import { slot } from './runtime/slot.ts';

/** Set for a preflight: its answer's headers are complete, or are the service's to say (`preflight_continue`). */
const preflight = slot<true>();

/** Answers preflight requests and marks the answers to others (Fetch standard, CORS protocol). */
const cors: Plugin<CorsConfig> = {
  name: 'cors',
  version: KONG_VERSION,
  priority: 2000,
  compile(config) {
    const allow = compileOrigins(config.origins ?? []);
    const headers = config.headers === null || config.headers.length === 0 ? null : config.headers.join(',');
    const exposed =
      config.exposed_headers === null || config.exposed_headers.length === 0 ? null : config.exposed_headers.join(',');
    const methods = config.methods?.join(',') ?? ALL_METHODS;

    /** What every answer says of the origin. */
    function mark(fields: HeaderFields, request: GatewayRequest): void {
      const origin = request.headers.get('origin');
      const { allowed, varies } = allow(origin);
      const echoes = allowed === '*' && config.credentials && origin !== null && origin !== '';
      const shown = echoes ? origin : allowed;
      if (varies || echoes) addToVary(fields);
      if (shown === null) fields.delete('Access-Control-Allow-Origin');
      else fields.set('Access-Control-Allow-Origin', shown);
      // A wildcard and credentials exclude each other (Fetch standard, 3.3.4).
      if (config.credentials && shown !== '*') fields.set('Access-Control-Allow-Credentials', 'true');
    }

    return {
      access(request) {
        const origin = request.headers.get('origin');
        const method = request.headers.get('access-control-request-method');
        if (request.method !== 'OPTIONS' || origin === null || method === null) return undefined;
        preflight.set(request, true);
        if (config.preflight_continue) return undefined;
        const answer = request.exit(200);
        const fields = answer.headers;
        mark(fields, request);
        const asked = headers ?? request.headers.get('access-control-request-headers');
        if (asked !== null) fields.set('Access-Control-Allow-Headers', asked);
        fields.set('Access-Control-Allow-Methods', methods);
        if (config.max_age !== null) fields.set('Access-Control-Max-Age', String(config.max_age));
        if (config.private_network && request.headers.get('access-control-request-private-network') === 'true')
          fields.set('Access-Control-Allow-Private-Network', 'true');
        fields.set('Content-Length', '0');
        return answer;
      },
      response(request, reply) {
        if (preflight.get(request)) return undefined;
        mark(reply.headers, request);
        if (exposed !== null) reply.headers.set('Access-Control-Expose-Headers', exposed);
        return undefined;
      },
    };
  },
};

export default cors;

/** What a config that unsets `methods` allows. */
const ALL_METHODS = 'GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT';

/** The value of Access-Control-Allow-Origin, null: none; `varies`: another origin may be told otherwise. */
type Allow = (origin: string | null) => { readonly allowed: string | null; readonly varies: boolean };

const ANY = { allowed: '*', varies: false };

/** An entry that is no regular expression. */
const LITERAL = /^[A-Za-z0-9.:/-]+$/;

function compileOrigins(origins: readonly string[]): Allow {
  if (origins.length === 0) return () => ANY;
  const [only = ''] = origins;
  if (origins.length === 1) {
    if (only === '*') return () => ANY;
    // One plain origin is told to everybody, whoever asks.
    if (LITERAL.test(only)) return () => ({ allowed: only, varies: true });
  }
  if (origins.includes('*')) return (origin) => ({ allowed: origin === null ? null : '*', varies: true });
  const match = compileAll(origins);
  return (origin) => {
    const found = origin === null ? null : match(origin);
    return { allowed: found, varies: true };
  };
}

function compileAll(origins: readonly string[]): (origin: string) => string | null {
  const entries = origins.map(compileEntry);
  return (origin) => {
    const normal = normalized(origin);
    return entries.some((matches) => matches(normal)) ? normal.whole : null;
  };
}

interface Origin {
  /** `scheme://host[:port]`, default ports left out. */
  readonly whole: string;
  readonly host: string;
}

/** A plain entry is the whole origin. A regular expression is one of the whole origin when it has a colon, else of its host. */
function compileEntry(entry: string): (origin: Origin) => boolean {
  if (LITERAL.test(entry)) {
    const { whole } = normalized(entry);
    return (origin) => origin.whole === whole;
  }
  const part = entry.includes(':') ? 'whole' : 'host';
  const regex = anchored(entry);
  return (origin) => regex.test(origin[part]);
}

function anchored(pattern: string): Regex {
  const compiled = compilePattern(wholePattern(pattern));
  if (!compiled.ok) throw new Error(`'${pattern}' is not a valid regex: ${compiled.problem}`);
  return compiled.regex;
}

/**
 * RFC 6454: scheme and host in lower case, the scheme's own port and what follows it left out. What is no URL (`null`, a bare
 * name) stays as it is.
 */
function normalized(origin: string): Origin {
  const match = /^([a-z][a-z0-9+.-]*):\/\/(\[[^\]]*\]|[^:/?#]+)(?::(\d*))?(?:[/?#].*)?$/i.exec(origin);
  if (match === null) return { whole: origin, host: origin };
  const scheme = (match[1] ?? '').toLowerCase();
  const host = (match[2] ?? '').toLowerCase();
  const port = match[3] ?? '';
  const usual = port === '' || (scheme === 'http' && port === '80') || (scheme === 'https' && port === '443');
  return { whole: `${scheme}://${host}${usual ? '' : `:${port}`}`, host };
}

function addToVary(fields: HeaderFields): void {
  const before = fields.get('vary');
  if (before !== null && (before.trim() === '*' || /(?:^|,)\s*origin\s*(?:,|$)/i.test(before))) return;
  fields.append('Vary', 'Origin');
}
