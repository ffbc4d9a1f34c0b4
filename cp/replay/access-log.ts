import type { RequestShape } from '../../shared/cluster/replay.ts';
import { isRecord } from '../../shared/record.ts';
import { checked, Gathered, type GivenRequests, quoted, RequestsFault } from './requests.ts';

/** What neither format tells, or Kong's does not. */
interface Otherwise {
  readonly host: string | null;
  readonly scheme: 'http' | 'https';
}

/** Characters of a line; a request's head is far shorter. */
const LONGEST_LINE = 64 << 10;

/**
 * The requests of an access log, line by line: of Kong's and nginx's own format (`kong_log_format`, `combined`), which has no host,
 * or of the format `json`. Headers are not known of them; queries are passed over. `otherwise`: what lines do not say. Throws
 * `RequestsFault` where no line is a request.
 */
export function readAccessLog(text: string, otherwise: Otherwise): GivenRequests {
  const gathered = new Gathered();
  let number = 0;
  for (const line of linesOf(text)) {
    number++;
    if (line === '') continue;
    try {
      const where = `line ${number}`;
      if (line.length > LONGEST_LINE) throw new RequestsFault(`${where}: longer than ${LONGEST_LINE} characters`);
      gathered.add(
        checked(line.startsWith('{') ? ofJson(line, where, otherwise) : ofCombined(line, where, otherwise), where),
      );
    } catch (error) {
      if (!(error instanceof RequestsFault) || !error.message.startsWith('line ')) throw error;
      // What a port scanner sends stands in logs too, and the last line may be half written.
      gathered.skip(error.message);
    }
  }
  return gathered.done('the access log');
}

function* linesOf(text: string): Generator<string> {
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at);
    const line = text.slice(at, end < 0 ? text.length : end);
    yield line.endsWith('\r') ? line.slice(0, -1) : line;
    at = end < 0 ? text.length : end + 1;
  }
}

/** `address - user [time] "request" status …`; quotes are escaped. */
const COMBINED = /^\S+ - [^[]*\[[^\]]*\] "((?:[^"\\]|\\.)*)" \d{3} /;
const REQUEST_LINE = /^(\S+) (\S+) HTTP\/(\d(?:\.\d)?)$/;

function ofCombined(line: string, where: string, otherwise: Otherwise): RequestShape {
  const request = COMBINED.exec(line)?.[1];
  if (request === undefined) {
    throw new RequestsFault(`${where}: ${quoted(line)} is neither of Kong's and nginx's default format, nor JSON`);
  }
  const [, method, target, version] = REQUEST_LINE.exec(request) ?? [];
  if (method === undefined || target === undefined || version === undefined) {
    throw new RequestsFault(`${where}: ${quoted(request)} is no request line`);
  }
  return shapeOf({ ...otherwise, method, target, version });
}

function ofJson(line: string, where: string, otherwise: Otherwise): RequestShape {
  let read: unknown;
  try {
    read = JSON.parse(line);
  } catch {
    throw new RequestsFault(`${where}: ${quoted(line)} is no whole JSON object`);
  }
  const { method, uri, protocol, host: own } = isRecord(read) ? read : {};
  if (typeof method !== 'string' || typeof uri !== 'string') {
    throw new RequestsFault(`${where}: lacks 'method' or 'uri', which lines of the format 'json' have`);
  }
  const version = typeof protocol === 'string' ? protocol.replace(/^HTTP\//, '') : '1.1';
  const host = typeof own === 'string' && own !== '' ? own : otherwise.host;
  return shapeOf({ ...otherwise, method, target: uri, version, host });
}

interface Line extends Otherwise {
  readonly method: string;
  readonly target: string;
  readonly version: string;
}

function shapeOf({ method, target, version, host, scheme }: Line): RequestShape {
  const question = target.indexOf('?');
  return {
    method,
    scheme,
    forwardedProto: scheme,
    host,
    sni: null,
    path: question < 0 ? target : target.slice(0, question),
    query: question < 0 ? '' : null,
    headers: {},
    allHeaders: false,
    sourceIp: null,
    version: version.startsWith('2') ? '2' : version.startsWith('3') ? '3' : '1.1',
    count: 1,
  };
}
