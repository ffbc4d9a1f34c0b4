import { isRecord } from '../../../shared/record.ts';
import { decodeBase64 } from '../../http/base64.ts';
import { FieldList } from '../../http/fields.ts';

/** What a function with proxy integration wants answered. */
interface ProxyResponse {
  readonly status: number;
  readonly headers: FieldList;
  readonly body: Uint8Array | string;
}

/** Reads a function's answer; a text says what is wrong with it, in Kong's words where Kong has any. */
export function proxyResponse(text: string): ProxyResponse | string {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (error) {
    return jsonProblem(text, String(error));
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
  }
}

/** In the words of Kong's JSON library. */
function jsonProblem(text: string, error: string): string {
  const [, position] = /position (\d+)/.exec(error) ?? [];
  if (text.trim() === '') return `Expected value but found T_END at character ${text.length + 1}`;
  const at = position === undefined ? (text.search(/\S/) ?? 0) : Number(position);
  return `Expected value but found invalid token at character ${at + 1}`;
}
