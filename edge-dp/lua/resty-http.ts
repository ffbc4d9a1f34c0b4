import { type LuaCall, LuaNative, type LuaResult, type LuaValue, results } from '../../shared/lua/value.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Content } from '../http/messages.ts';
import { readBody } from '../http/read-body.ts';
import { encodeArguments, isMap } from './arguments.ts';
import { contextOf } from './context.ts';
import { headersTable } from './kong/request.ts';

/** `request_uri` of lua-resty-http: one request and its whole answer. */
export const fetchNative = new LuaNative('fetch', (call) => request(call), true);

const LONGEST = 10 * 1024 * 1024;

async function request(call: LuaCall): Promise<LuaResult> {
  const { services } = contextOf(call).site;
  const options = call.value(2);
  const given = (name: string): LuaValue => (isMap(options) ? options.get(name) : undefined);
  const url = new URL(call.text(1));
  const query = given('query');
  if (typeof query === 'string') url.search = query;
  else if (query !== undefined) url.search = encodeArguments(query);
  const path = given('path');
  if (typeof path === 'string') url.pathname = path;
  const headers: Record<string, string> = {};
  const fields = given('headers');
  if (isMap(fields)) for (const [name, value] of fields) headers[String(name)] = String(value);
  const method = given('method');
  const body = given('body');
  try {
    const answer = await services.fetch({
      url: url.href,
      method: typeof method === 'string' ? method : 'GET',
      headers,
      body: typeof body === 'string' || body instanceof Uint8Array ? body : null,
      timeout: call.number(3),
      verify: given('ssl_verify') !== false,
    });
    return {
      status: answer.status,
      reason: '',
      has_body: true,
      headers: headersTable(answer.headers, 1000),
      body: await whole(answer.content),
    };
  } catch (error) {
    return results(undefined, messageOf(error));
  }
}

async function whole(content: Content): Promise<LuaValue> {
  if (content === null) return '';
  if (typeof content === 'string' || content instanceof Uint8Array) return content;
  const { bytes, rest } = await readBody(content.stream(), LONGEST);
  if (rest !== null) {
    await rest.cancel();
    throw new Error(`the answer is longer than ${LONGEST} bytes`);
  }
  return bytes;
}
