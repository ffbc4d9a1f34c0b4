import { isRecord, type Row } from '../../shared/record.ts';
import { readAccessLog } from './access-log.ts';
import { readHar } from './har.ts';
import { type GivenRequests, RequestsFault, readRequestList } from './requests.ts';

/**
 * The requests of a file, by what is in it: a JSON list as `requests` of the Admin API, an object with such a list, a HAR, or else an
 * access log. `otherwise`: what lines of an access log do not say. Throws `RequestsFault`.
 */
export function readRequestsFile(text: string, otherwise: Parameters<typeof readAccessLog>[1]): GivenRequests {
  const start = text.trimStart();
  if (start === '') throw new RequestsFault('it is empty');
  const [line = ''] = start.split('\n', 1);
  const first = start.startsWith('{') ? recordIn(line) : null;
  const isDocument = start.startsWith('[') || (start.startsWith('{') && (first === null || isNoLog(first)));
  if (!isDocument) return readAccessLog(text, otherwise);
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch (error) {
    throw new RequestsFault(`it is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (Array.isArray(read)) return readRequestList(read);
  if (isRecord(read) && 'log' in read) return readHar(read.log);
  if (isRecord(read) && 'requests' in read) return readRequestList(read.requests);
  throw new RequestsFault("it is neither a list of requests, nor a HAR ('log'), nor an access log");
}

/** What a line of a log is by itself; null: no whole object. */
function recordIn(line: string): Row | null {
  try {
    const read: unknown = JSON.parse(line);
    return isRecord(read) ? read : null;
  } catch {
    return null;
  }
}

const isNoLog = (read: Row): boolean => 'log' in read || 'requests' in read;
