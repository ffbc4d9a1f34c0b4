import { isRecord } from '../../../shared/record.ts';
import { decodeBase64 } from '../../http/base64.ts';
import { FieldList } from '../../http/fields.ts';
import { jsonProblem } from '../json-problem.ts';

/** What a function with proxy integration wants answered. */
interface ProxyResponse {
  readonly status: number;
  readonly headers: FieldList;
  readonly body: Uint8Array | string;
}

/**
 * Reads a function's answer; a text says what is wrong with it, in Kong's words where Kong has any. An answer that is a text of
 * JSON within JSON is read like that JSON.
 */
export function proxyResponse(text: string): ProxyResponse | string {
  let answer: unknown;
  let read = text;
  try {
    answer = JSON.parse(read);
    if (typeof answer === 'string') {
      read = answer;
      answer = JSON.parse(read);
    }
  } catch {
    return jsonProblem(read);
  }
  if (typeof answer !== 'object' || answer === null) return 'proxy response must be json format';
  const { statusCode, headers, body, isBase64Encoded, multiValueHeaders } = isRecord(answer) ? answer : {};
  const status = typeof statusCode === 'string' && statusCode.trim() !== '' ? Number(statusCode) : statusCode;
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 100 || status > 599)
    return 'statusCode validation failed';
  if (headers !== undefined && (typeof headers !== 'object' || headers === null)) return 'headers must be a table';
  if (body !== undefined && typeof body !== 'string') return 'body must be a string';
  if (isBase64Encoded !== undefined && typeof isBase64Encoded !== 'boolean') return 'isBase64Encoded must be a boolean';
  const decoded = isBase64Encoded === true ? decodeBase64(body ?? '') : (body ?? '');
  if (decoded === null) return 'body is not base64';
  if (status < 200) return 'statusCode validation failed';
  if (multiValueHeaders != null && !isRecord(multiValueHeaders)) return 'multiValueHeaders must be a table';
  try {
    const fields = new FieldList();
    for (const [name, value] of Object.entries(isRecord(headers) ? headers : {})) put(fields, name, value);
    for (const [name, value] of Object.entries(isRecord(multiValueHeaders) ? multiValueHeaders : {}))
      put(fields, name, value);
    fields.delete('content-length');
    return { status, headers: fields, body: decoded };
  } catch (error) {
    return error instanceof TypeError ? error.message : String(error);
  }
}

/** In place of what is there under the name. Throws a `TypeError` for what no message may carry. */
function put(fields: FieldList, name: string, value: unknown): void {
  fields.delete(name);
  for (const each of Array.isArray(value) ? value : [value]) {
    if (typeof each === 'string' || typeof each === 'number' || typeof each === 'boolean')
      fields.append(name, String(each));
    else if (each !== null) throw new TypeError(`the value of header ${name} is no text`);
  }
}
